"""ST-GCN on BABEL-60, class-balanced focal loss (mmaction2 0.x).

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018.
Data: Punnakkal et al., BABEL: Bodies, Action and Behavior with English Labels,
CVPR 2021. One person, 150 frames (five seconds), coordinates as the authors of
BABEL normalised them.

mmaction2 config, validation split    top-1  mean   GPUs x clips
stgcn_80e_babel60_wfl (0.x)           40.31  29.79  8 x 16
The authors of BABEL, with 2s-AGCN    33.41  30.42

Mean is the mean class accuracy. mmaction2 1.0.0rc0 subtracts the mean of pixel
coordinates from these metres as well; the published rows do not.

The published clips per class are not in the order of the labels, probably in
the order in which the classes first occur; they are used as published. Other
numbers: --config.loss.samples_per_class='(1,2,...)'.

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
4.29 G x 45,473 x 80 x 6 = 94 PFLOP, 2.6 hours

Prepare the data once, then train:
python -m data_prep.main --source=npy --input=FOLDER --protocol=babel60 \\
    --layout=nturgb+d --class_names=babel60 --name=babel60 --output=DIR
python -m skeljax.main --config=configs/stgcn_babel60_wfl.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import common

_SAMPLES_PER_CLASS = (
  518, 1993, 6260, 508, 208, 3006, 431, 724, 4527, 2131, 199, 1255, 487, 302,
  136, 571, 267, 646, 1180, 405, 731, 842, 1619, 271, 1198, 1012, 865, 462, 526,
  405, 487, 168, 271, 609, 503, 167, 415, 421, 283, 2069, 715, 196, 989, 122,
  599, 396, 245, 380, 236, 260, 325, 133, 206, 191, 394, 145, 277, 268, 172,
  146,
)  # fmt: skip


def get_config(arg: str = '') -> config_dict.ConfigDict:
  args = common.parse_args(
    arg, get_config, stream='joint', dataset='babel60', demo=False
  )
  config = common.stgcn()
  config.name = 'stgcn_babel60_wfl'
  config.data.update(
    dataset=args.dataset,
    demo=args.demo,
    dims=3,
    max_persons=1,
    normalize='none',
    frames='loop',
    clip_len=150,
    num_clips=1,
    repeat=5,
  )
  config.input.stream = args.stream
  config.model.update(
    adaptive='importance',
    conv_pos='pre',
    gcn_with_res=False,
    tcn_type='unit_tcn',
    data_bn='VC',
    weight_init='mmaction0x',
    base_channels=64,
    ch_ratio=2.0,
    num_stages=10,
    inflate_stages=(5, 8),
    down_stages=(5, 8),
    tcn_dropout=0.0,
    dropout=0.0,
    norm_group=16,  # Clips per GPU.
  )
  config.graph.update(mode='stgcn_spatial', max_hop=1, edges='0x')
  config.optim.update(
    base_lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule='step',
    milestones=(10, 14),
    gamma=0.1,
    reference_batch=128,
  )
  config.loss.update(
    name='cb_focal',
    samples_per_class=_SAMPLES_PER_CLASS,
    beta=0.9999,
    gamma=2.0,
  )
  config.train.update(batch_size=128, epochs=16.0)
  config.eval.update(every_epochs=1.0, average='score')
  config.demo = common.joints_demo(config)
  return config
