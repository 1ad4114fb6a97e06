"""ST-GCN on BABEL-120, class-balanced focal loss, joint stream.

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018. Data: Punnakkal et al., BABEL:
Bodies, Action and Behavior with English Labels, CVPR 2021, validation split.

Words      mmaction2 config                      top-1  mean   GPUs x clips
published  stgcn_80e_babel120_wfl (0.x)          33.00  24.33  8 x 16
The authors of BABEL, with 2s-AGCN               27.91  26.17

Mean is the mean class accuracy, which every evaluation prints.
The published numbers of clips weigh the classes. They do not stand in the order
of the labels, see configs/babel.py.
One person, 150 frames. The coordinates are taken as they come: the authors of
BABEL normalised them, and mmaction2 0.x does nothing more. (Its 1.0.0rc0
subtracts pixel means from them, as from 2D joints; these rows are not of it.)

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
published        4.29 G x 48,978 x 80 x 6 = 101 PFLOP, 2.8 hours

Commands, the first once:
python -m data_prep.main --source=npy --input=FOLDER --protocol=babel120 \\
    --layout=nturgb+d --class_names=babel120 --name=babel120 --output=DIR
python -m skeljax.main --config=configs/stgcn_babel120_wfl.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import babel


def get_config(words: str = '') -> config_dict.ConfigDict:
  return babel.babel(
    'stgcn_babel120_wfl', words, dataset='babel120', samples=babel.SAMPLES_120
  )
