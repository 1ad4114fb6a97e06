"""The actions of the demo as keyframes of joint angles.

To add an action, append an `Action` to `_TABLE`: a few poses, each with the
angles that differ from standing (body.CHANNELS; without l_ or r_ for both
sides), and the time at which each is reached, from 0 to 1. Actions are
right-handed; half of the clips are flipped. With `reverse`, the motion played
backwards is a second action, which differs only in the order of the frames.
"""

import dataclasses

from data_prep.demo import body as body_lib

Pose = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Beat:
  """A joint that oscillates during part of a motion.

  Attributes:
    channel: a name of body_lib.CHANNELS.
    degrees: amplitude.
    hertz: range of the frequency.
    start: time at which it fades in, from 0 to 1.
    stop: time at which it has faded out.
  """

  channel: str
  degrees: float
  hertz: tuple[float, float]
  start: float
  stop: float


@dataclasses.dataclass(frozen=True)
class Action:
  """One motion and, with `reverse`, the same motion backwards.

  Attributes:
    name: class name.
    keyframes: (time from 0 to 1, pose) in order.
    seconds: range of the duration.
    reverse: class name of the motion played backwards, '' for none.
    beats: oscillations on top of the keyframes.
    steps: range of the number of walking steps, taken between `walk`.
    walk: times between which the steps are taken.
    persons: 1, or 2 that face each other and do the same.
    gap: range of the distance of the two in metres; (): their leading hands
      meet.
    meet: time at which the gap is measured.
  """

  name: str
  keyframes: tuple[tuple[float, Pose], ...]
  seconds: tuple[float, float]
  reverse: str = ''
  beats: tuple[Beat, ...] = ()
  steps: tuple[int, int] = (0, 0)
  walk: tuple[float, float] = (0.0, 1.0)
  persons: int = 1
  gap: tuple[float, float] | tuple[()] = ()
  meet: float = 1.0


def pose(**angles: float) -> Pose:
  """Return a pose from the angles that differ from standing."""
  out = dict.fromkeys(body_lib.CHANNELS, 0.0)
  easy = dict(spread=8, elbow=14, turn=12, wrist=6, thigh=3, knee=6, straddle=3)
  for name, degrees in (easy | angles).items():
    names = [n for n in (name, f'l_{name}', f'r_{name}') if n in out]
    out.update(dict.fromkeys(names, degrees))
  return out


STAND = pose()
_RISING = pose(lean=38, bow=8, nod=-20, thigh=52, knee=64, lift=35, elbow=25)
_SETTLING = pose(lean=8, thigh=86, knee=84, lift=8, elbow=60, turn=20)
_SEATED = pose(thigh=86, knee=84, lift=0, elbow=70, turn=20)
_CROUCH = pose(lean=46, bow=26, thigh=70, knee=92, lift=68, elbow=16, turn=4)
_CARRY = pose(lift=18, elbow=82, turn=28, spread=6)
_HAT_LOW = pose(nod=14, lift=24, elbow=80, turn=30)
_HAT_UP = pose(nod=8, lift=100, elbow=114, turn=0, spread=12, wrist=20)
_STEP = pose(lean=6, l_thigh=42, l_knee=46, r_thigh=-6, r_knee=14, r_foot=-5)
_KNEEL = pose(nod=10, l_thigh=94, l_knee=94, l_lift=18, l_elbow=58) | dict(
  l_turn=30, r_thigh=-4, r_knee=92, r_foot=-40
)
_HAIL = pose(r_lift=24, r_elbow=112, r_turn=-18, r_spread=18, r_wrist=-8)
_WAVE = pose(r_spread=80, r_lift=15, r_elbow=95, r_turn=-80)
_CLASP = pose(r_lift=40, r_elbow=42, r_turn=20, r_spread=0, r_wrist=0)

_TABLE = (
  Action(
    'sit down',
    ((0, STAND), (0.45, _RISING), (0.85, _SETTLING), (1, _SEATED)),
    seconds=(1.2, 2.4),
    reverse='stand up',
  ),
  Action(
    'pick up',
    ((0, STAND), (0.45, _CROUCH), (0.55, _CROUCH), (1, _CARRY)),
    seconds=(1.4, 2.8),
    reverse='put down',
  ),
  Action(
    'put on a hat',
    ((0, _HAT_LOW), (0.4, _HAT_UP), (0.6, _HAT_UP), (1, STAND)),
    seconds=(1.2, 2.6),
    reverse='take off a hat',
  ),
  Action(
    'kneel down',
    ((0, STAND), (0.35, _STEP), (0.9, _KNEEL), (1, _KNEEL)),
    seconds=(1.4, 2.6),
    reverse='rise from the knee',
  ),
  Action(
    'approach',
    ((0, STAND), (0.65, STAND), (0.9, _HAIL), (1, _HAIL)),
    seconds=(2.0, 3.2),
    reverse='leave',
    steps=(2, 3),
    walk=(0.0, 0.85),
    persons=2,
    gap=(0.8, 1.2),
  ),
  Action(
    'take hands',
    ((0, STAND), (0.5, _CLASP), (1, _CLASP)),
    seconds=(1.4, 2.8),
    reverse='let go',
    beats=(Beat('r_elbow', 12, (1.5, 2.8), 0.4, 1.0),),
    persons=2,
  ),
  Action(
    'wave',
    ((0, STAND), (0.22, _WAVE), (0.78, _WAVE), (1, STAND)),
    seconds=(1.8, 3.2),
    beats=(Beat('r_elbow', 28, (1.2, 2.4), 0.15, 0.85),),
  ),
)

# Class name -> (motion, whether it is reversed), in the order of the labels.
MOTIONS = {}
for _action in _TABLE:
  MOTIONS[_action.name] = (_action, False)
  if _action.reverse:
    MOTIONS[_action.reverse] = (_action, True)
