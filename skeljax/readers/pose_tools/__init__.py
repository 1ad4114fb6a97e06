"""What pose estimators write: MMPose, OpenPose, AlphaPose, Ultralytics, MediaPipe."""
