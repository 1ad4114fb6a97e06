"""The published rows of skeleton models and the values expected of each.

A row is a config of mmaction2 with a published accuracy. Schedules are computed
by hand from its text: epochs x passes x clips / batch steps, and a milestone m
at step round(m x passes x clips / batch).
"""

import dataclasses

# Training clips and classes of each dataset.
CLIPS = {
  'ntu60': 40091, 'ntu120': 63026, 'babel60': 45473, 'babel120': 48978,
  'gym': 20484, 'ucf101': 9537, 'hmdb51': 3570, 'k400': 240000,
}  # fmt: skip
CLASSES = {
  'ntu60': 60, 'ntu120': 120, 'babel60': 60, 'babel120': 120, 'gym': 99,
  'ucf101': 101, 'hmdb51': 51, 'k400': 400,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
  """A published row and our config for it.

  Attributes:
    published: name of the config in mmaction2.
    command: our config file with its arguments.
    accuracy: published, in percent; top-1, or mean class accuracy on FineGYM.
    data: of CLIPS.
    shape: model input of one training clip.
    steps: total.
    rates: step -> learning rate.
    parameters: number in the network.
  """

  published: str
  command: str
  accuracy: str
  data: str
  shape: tuple[int, ...]
  steps: int
  rates: dict[int, float]
  parameters: int


# Half a cosine from 0.1: cos(pi / 4) at a quarter, 0 in the middle.
_COSINE_60 = {0: 0.1, 6264: 0.085358, 12528: 0.05, 25057: 0.0}
_COSINE_120 = {0: 0.1, 9848: 0.085354, 19696: 0.05, 39391: 0.0}
_SLOW_60 = (  # Rate 0.2 over 75,171 steps of 128 clips.
  75171, {0: 0.2, 18793: 0.170710, 37585: 0.1, 75171: 0.0},
)  # fmt: skip
_SLOW_GYM = (38408, {0: 0.2, 9602: 0.170711, 19204: 0.1, 38408: 0.0})
_V = {'2d': 17, '3d': 25}
_POSEC3D_DATASETS = {
  'gym': 'gym', 'ntu60': 'ntu60_xsub_2d', 'ucf101': 'ucf101_split1',
  'hmdb51': 'hmdb51_split1',
}  # fmt: skip


def _zoo() -> list[Row]:
  """The rows of the model zoo of mmaction2 0.x and 1.0.0rc0."""
  joint_3d, joint_2d = (1, 2, 300, 25, 3), (1, 2, 300, 17, 3)
  babel, maps = (1, 1, 150, 25, 3), (1, 48, 56, 56, 17)
  small_maps = (1, 48, 48, 48, 17)
  # 40,091 / 12 = 3,340.9 steps an epoch; epochs 30 and 40.
  agcn = {0: 0.1, 100227: 0.1, 100228: 0.01, 133636: 0.01, 133637: 0.001}
  # 40,091 / 24 = 1,670.5.
  bone = {0: 0.1, 50113: 0.1, 50114: 0.01, 66817: 0.01, 66818: 0.001}
  # 40,091 / 32 = 1,252.8; epochs 10 and 50.
  stgcn = {0: 0.1, 12527: 0.1, 12528: 0.01, 62641: 0.01, 62642: 0.001}
  # 5 x 45,473 / 128 = 1,776.3; epochs 10 and 14.
  babel60 = {0: 0.1, 17762: 0.1, 17763: 0.01, 24867: 0.01, 24868: 0.001}
  # 5 x 48,978 / 128 = 1,913.2.
  babel120 = {0: 0.1, 19131: 0.1, 19132: 0.01, 26784: 0.01, 26785: 0.001}
  # 10 x 9,537 / 128 = 745.1; epochs 9 and 11.
  ucf = {0: 0.01, 6705: 0.01, 6706: 1e-3, 8195: 1e-3, 8196: 1e-4}
  # 10 x 3,570 / 128 = 278.9.
  hmdb = {0: 0.01, 2509: 0.01, 2510: 1e-3, 3067: 1e-3, 3068: 1e-4}
  long_name = 'slowonly_kinetics400_pretrained_r50_u48_120e_8xb16_'
  slow = 'slowonly_r50_u48_240e_8xb16_'
  return [
    Row(
      '2sagcn_80e_ntu60_xsub_keypoint_3d', 'agcn_joint.py', '86.06', 'ntu60',
      joint_3d, 267273, agcn, 3469360,
    ),
    Row(
      '2sagcn_80e_ntu60_xsub_bone_3d', 'agcn_bone.py', '86.89', 'ntu60',
      joint_3d, 133637, bone, 3469360,
    ),
    Row(
      'stgcn_80e_ntu60_xsub_keypoint', 'stgcn_joint_2d.py', '86.91', 'ntu60',
      joint_2d, 100228, stgcn, 3088704,
    ),
    Row(
      'stgcn_80e_ntu60_xsub_keypoint_3d', 'stgcn_joint_3d.py', '84.61', 'ntu60',
      joint_3d, 100228, stgcn, 3098832,
    ),
    Row(
      'stgcn_80e_babel60', 'stgcn_babel60.py', '42.39', 'babel60', babel,
      28421, babel60, 3098832,
    ),
    Row(
      'stgcn_80e_babel60_wfl', 'stgcn_babel60_wfl.py', '40.31', 'babel60',
      babel, 28421, babel60, 3098832,
    ),
    Row(
      'stgcn_80e_babel120', 'stgcn_babel120.py', '38.95', 'babel120', babel,
      30611, babel120, 3114252,
    ),
    Row(
      'stgcn_80e_babel120_wfl', 'stgcn_babel120_wfl.py', '33.00', 'babel120',
      babel, 30611, babel120, 3114252,
    ),
    Row(
      f'{slow}gym_keypoint', 'posec3d_gym_keypoint.py', '93.4', 'gym',
      maps, *_SLOW_GYM, 2044867,
    ),
    Row(
      f'{slow}gym_limb', 'posec3d_gym_limb.py', '93.7', 'gym', maps,
      *_SLOW_GYM, 2044867,
    ),
    Row(
      f'{slow}ntu60_xsub_keypoint', 'posec3d_ntu60_keypoint.py', '93.6',
      'ntu60', maps, *_SLOW_60, 2024860,
    ),
    Row(
      f'{slow}ntu60_xsub_limb', 'posec3d_ntu60_limb.py', '93.5', 'ntu60',
      maps, *_SLOW_60, 2024860,
    ),
    Row(
      f'{long_name}ucf101_split1_keypoint', 'posec3d_ucf101_keypoint.py',
      '86.9', 'ucf101', small_maps, 8941, ucf, 3055173,
    ),
    Row(
      f'{long_name}hmdb51_split1_keypoint', 'posec3d_hmdb51_keypoint.py',
      '69.2', 'hmdb51', small_maps, 3347, hmdb, 3029523,
    ),
  ]  # fmt: skip


def _arguments(zoo_file: str) -> str:
  """heatmap=...,dataset=... for a file of the zoo, 'posec3d_gym_limb.py'."""
  data, heatmap = zoo_file.removesuffix('.py').split('_')[1:]
  return f'heatmap={heatmap},dataset={_POSEC3D_DATASETS[data]}'


def _posec3d_0x() -> list[Row]:
  """The rows of mmaction2 0.x: 16 GPUs where 1.0.0rc0 has 8.

  Only 0.x has NTU RGB+D 120.
  """
  half_60 = (37585, {0: 0.2, 9396: 0.170712, 18792: 0.1, 37585: 0.0})
  half_gym = (19204, {0: 0.2, 4801: 0.170711, 9602: 0.1, 19204: 0.0})
  accuracy = {
    'posec3d_gym_keypoint.py': '93.7',
    'posec3d_gym_limb.py': '94.0',
    'posec3d_ntu60_keypoint.py': '93.7',
    'posec3d_ntu60_limb.py': '93.4',
    'posec3d_ucf101_keypoint.py': '87.0',
    'posec3d_hmdb51_keypoint.py': '69.3',
  }
  rate_120 = {0: 0.2, 14772: 0.170710, 29543: 0.1, 59087: 0.0}
  rows = [
    Row(
      f'slowonly_r50_u48_240e_ntu120_xsub_{heatmap}',
      f'posec3d_mmaction0x.py:heatmap={heatmap},dataset=ntu120_xsub_2d',
      top1, 'ntu120', (1, 48, 56, 56, 17), 59087, rate_120, 2055640,
    )
    for heatmap, top1 in (('keypoint', '86.3'), ('limb', '85.7'))
  ]  # fmt: skip
  for row in _zoo():
    if not row.command.startswith('posec3d'):
      continue
    steps, rates = row.steps, row.rates
    if row.data in ('gym', 'ntu60'):
      steps, rates = half_gym if row.data == 'gym' else half_60
    rows.append(
      dataclasses.replace(
        row,
        published=row.published.replace('_8xb16', ''),
        command=f'posec3d_mmaction0x.py:{_arguments(row.command)}',
        accuracy=accuracy[row.command],
        steps=steps,
        rates=rates,
      )
    )
  return rows


def _gcn_1x() -> list[Row]:
  """The rows of graph networks of mmaction2 1.x."""
  streams = ('joint', 'bone', 'joint-motion', 'bone-motion')
  tables = {
    # Network: file, parameters with 60 classes, accuracy by data and stream.
    'stgcn': (
      'stgcn_mmaction1x.py',
      {'2d': 3088704, '3d': 3098832},
      {
        ('ntu60', '2d'): '88.95 91.69 86.90 87.86',
        ('ntu60', '3d'): '88.11 88.76 86.06 85.49',
        ('ntu120', '2d'): '83.19 83.36 78.87 79.55',
        ('ntu120', '3d'): '82.15 84.28 78.93 80.02',
      },
    ),
    '2s-agcn': (
      'agcn_mmaction1x.py',
      {'2d': 3459344, '3d': 3469520},
      {
        ('ntu60', '2d'): '88.60 91.59 88.02 88.82',
        ('ntu60', '3d'): '88.26 89.22 86.73 86.41',
      },
    ),
    'stgcnpp': (
      'stgcnpp_mmaction1x.py',
      {'2d': 1393016, '3d': 1403144},
      {
        ('ntu60', '2d'): '89.29 92.30 87.30 88.76',
        ('ntu60', '3d'): '89.14 90.21 86.67 87.45',
      },
    ),
  }
  rows = []
  for network, (file, parameters, accuracies) in tables.items():
    for (data, dims), accuracy in accuracies.items():
      for stream, top1 in zip(streams, accuracy.split()):
        arguments = (
          f'stream={stream.replace("-", "_")},dims={dims[0]},'
          f'dataset={data}_xsub_{dims}'
        )
        is_120 = data == 'ntu120'
        rows.append(
          Row(
            f'{network}_8xb16-{stream}-u100-80e_{data}-xsub-keypoint-{dims}',
            f'{file}:{arguments}',
            top1,
            data,
            (1, 2, 100, _V[dims], 3),
            39391 if is_120 else 25057,
            _COSINE_120 if is_120 else _COSINE_60,
            # 257 for each further class.
            parameters[dims] + (60 * 257 if is_120 else 0),
          )
        )
  return rows


def _posec3d_1x() -> list[Row]:
  """The rows of PoseC3D of mmaction2 1.x: ten passes per epoch."""
  names = {
    'gym_keypoint': ('slowonly_r50_8xb16-u48-240e_gym-keypoint', '93.5'),
    'gym_limb': ('slowonly_r50_8xb16-u48-240e_gym-limb', '93.6'),
    'ntu60_keypoint': (
      'slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint', '93.6',
    ),
    'ntu60_limb': ('slowonly_r50_8xb16-u48-240e_ntu60-xsub-limb', '93.5'),
    'ucf101_keypoint': (
      'slowonly_kinetics400-pretrained-r50_8xb16-u48-120e_'
      'ucf101-split1-keypoint', '86.8',
    ),
    'hmdb51_keypoint': (
      'slowonly_kinetics400-pretrained-r50_8xb16-u48-120e_'
      'hmdb51-split1-keypoint', '69.6',
    ),
  }  # fmt: skip
  rows = [
    dataclasses.replace(
      row,
      published=names[key][0],
      command=f'posec3d_mmaction1x.py:{_arguments(row.command)}',
      accuracy=names[key][1],
    )
    for row in _zoo()
    for key in names
    if row.command == f'posec3d_{key}.py'
  ]
  return rows + [
    Row(
      'slowonly_r50_8xb32-u48-240e_k400-keypoint',
      'posec3d_mmaction1x.py:heatmap=keypoint,dataset=k400', '47.4', 'k400', (1, 48, 56, 56, 17), 225000,
      {0: 0.4, 56250: 0.341421, 112500: 0.2, 225000: 0.0}, 3208560,
    )
  ]  # fmt: skip


ZOO = _zoo()
ROWS = ZOO + _posec3d_0x() + _gcn_1x() + _posec3d_1x()
