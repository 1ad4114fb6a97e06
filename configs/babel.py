"""BABEL: what its configurations share.

Data: Punnakkal et al., BABEL: Bodies, Action and Behavior with English Labels,
CVPR 2021. One person, 25 joints, 150 frames (five seconds) a clip; 3D
coordinates that the authors of BABEL have normalised already.

The published numbers of clips weigh the classes in the loss of the _wfl rows.
They are kept as published, and they do not stand in the order of the labels:
the first 60 of the 120 labels are those of BABEL-60, but the first 60 of the
120 numbers are not those of BABEL-60, which are found among all 120. (Probably
they stand in the order in which the classes first occur.) Other numbers are set
by --config.loss.samples_per_class='(1,2,...)'.
"""

from ml_collections import config_dict

from configs import common
from configs import gcn
from configs import stgcn

_ONE_RECIPE = 'BABEL has the recipe of mmaction2 0.x alone.'
_ONE_PERSON = 'BABEL is one data set of 3D skeletons with splits of its own.'
WORDS = common.Words(
  recipes={'published': 'mmaction2 0.x, the only one'},
  streams=gcn.STREAMS,
  refused={
    **dict.fromkeys(('u100', 'ucla'), _ONE_RECIPE),
    **{
      word: _ONE_PERSON for group in gcn.WORDS.groups.values() for word in group
    },
    **gcn.HEATMAP_WORDS,
  },
)
SAMPLES_60 = (
  518, 1993, 6260, 508, 208, 3006, 431, 724, 4527, 2131, 199, 1255, 487, 302,
  136, 571, 267, 646, 1180, 405, 731, 842, 1619, 271, 1198, 1012, 865, 462, 526,
  405, 487, 168, 271, 609, 503, 167, 415, 421, 283, 2069, 715, 196, 989, 122,
  599, 396, 245, 380, 236, 260, 325, 133, 206, 191, 394, 145, 277, 268, 172,
  146,
)  # fmt: skip
SAMPLES_120 = (
  518, 1993, 6260, 508, 208, 3006, 431, 724, 4527, 2131, 199, 1255, 487, 302,
  136, 571, 267, 646, 1180, 405, 72, 731, 842, 1619, 271, 27, 1198, 1012, 110,
  865, 462, 526, 405, 487, 101, 24, 84, 64, 168, 271, 609, 503, 76, 167, 415,
  137, 421, 283, 2069, 715, 196, 66, 44, 989, 122, 43, 599, 396, 245, 380, 34,
  236, 260, 325, 127, 133, 119, 66, 125, 50, 206, 191, 394, 69, 98, 145, 38, 21,
  29, 64, 277, 65, 39, 31, 35, 85, 54, 80, 133, 66, 39, 64, 268, 34, 172, 54,
  33, 21, 110, 19, 40, 55, 146, 39, 37, 75, 101, 20, 46, 55, 43, 21, 43, 87, 29,
  36, 24, 37, 28, 39,
)  # fmt: skip
# Training clips of each of the actions of the demo motions.
_DEMO_SAMPLES = (46,) * 13


def babel(
  name: str, words: str, dataset: str, samples: tuple[int, ...] = ()
) -> config_dict.ConfigDict:
  """ST-GCN on BABEL as mmaction2 0.x trains it.

  Args:
    name: of the configuration file.
    words: what followed the colon.
    dataset: used unless a word names another.
    samples: clips of each class for the class-balanced focal loss; () for the
      cross entropy.
  """
  config = gcn.base(name, words, stream='joint', family=WORDS)
  stgcn.use_stgcn(config)
  stgcn.mmaction0x(config)
  config.data.update(
    dataset=config.dataset_word or dataset,
    max_persons=1,
    clip_len=150,
    repeat=5,
  )
  config.model.norm_group = 16  # 16 clips on each of 8 GPUs.
  config.optim.update(milestones=(10, 14), reference_batch=128)
  config.train.update(batch_size=128, epochs=16.0)
  config.eval.every_epochs = 1.0
  if samples:
    config.loss.update(name='cb_focal', samples_per_class=samples)
  demo = gcn.demo_preset(config)
  demo.data.max_persons = 0
  if samples:
    demo.loss = config_dict.create(samples_per_class=_DEMO_SAMPLES)
  return common.finish(config, words, WORDS, demo)
