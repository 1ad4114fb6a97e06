"""ST-GCN on BABEL-60, cross entropy, joint stream.

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018. Data: Punnakkal et al., BABEL:
Bodies, Action and Behavior with English Labels, CVPR 2021, validation split.

Words      mmaction2 config                      top-1  mean   GPUs x clips
published  stgcn_80e_babel60 (0.x)               42.39  28.28  8 x 16
The authors of BABEL, with 2s-AGCN               41.14  24.46

Mean is the mean class accuracy, which every evaluation prints.
One person, 150 frames. The coordinates are taken as they come: the authors of
BABEL normalised them, and mmaction2 0.x does nothing more. (Its 1.0.0rc0
subtracts pixel means from them, as from 2D joints; these rows are not of it.)

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
published        4.29 G x 45,473 x 80 x 6 = 94 PFLOP, 2.6 hours

Commands, the first once:
python -m data_prep.main --source=npy --input=FOLDER --protocol=babel60 \\
    --layout=nturgb+d --class_names=babel60 --name=babel60 --output=DIR
python -m skeljax.main --config=configs/stgcn_babel60.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import babel


def get_config(words: str = '') -> config_dict.ConfigDict:
  return babel.babel('stgcn_babel60', words, dataset='babel60')
