"""What all configuration files share: sections, words after the colon.

A configuration is one file; what follows the colon are words in any order:

    --config=configs/{example},my_dataset

{groups}
    demo          train on the procedural demo motions, whatever data.dir says
    help          print this and the fields, then exit
    another word  the name of a prepared dataset in data.dir
"""

from collections.abc import Container, Iterator, Mapping
import dataclasses
import sys
from typing import Any

from ml_collections import config_dict

_DEMO_WORDS = ('demo', 'help')


@dataclasses.dataclass(frozen=True)
class Words:
  """What a family of configurations understands after the colon.

  Attributes:
    recipes: each with what it stands for; the first is the default.
    streams: what the network may look at, each with what it is.
    groups: further words by what they choose; no two words of a group go
      together.
    refused: words of other configurations, each with what to write instead,
      as a sentence; without them they would be names of datasets.
  """

  recipes: Mapping[str, str]
  streams: Mapping[str, str]
  groups: Mapping[str, Mapping[str, str]] = dataclasses.field(
    default_factory=dict
  )
  refused: Mapping[str, str] = dataclasses.field(default_factory=dict)

  @property
  def all_groups(self) -> dict[str, Mapping[str, str]]:
    """The words by what they choose, in the order of :help."""
    return {'recipe': self.recipes, 'stream': self.streams, **self.groups}

  @property
  def known(self) -> tuple[str, ...]:
    """Every word that names no dataset."""
    groups = self.all_groups.values()
    return (*(word for group in groups for word in group), *_DEMO_WORDS)


def split(words: str) -> list[str]:
  """The words after the colon, without blanks around them."""
  return [word.strip() for word in words.split(',') if word.strip()]


def choose(words: str, family: Words) -> dict[str, str]:
  """What the words after the colon choose, by group and 'dataset'; '' if none.

  Raises:
    UserError: two words of one group, or one of another configuration.
  """
  given = split(words)
  for word in given:
    if word in family.refused:
      raise error(
        f'The word {word!r} after the colon: {family.refused[word]} Known'
        f' words: {", ".join(family.known)}.'
      )
  groups: dict[str, Container[str]] = dict(family.all_groups)
  groups['dataset'] = set(given) - set(family.known)
  return {
    what: _only_one([w for w in given if w in group], what, family.known)
    for what, group in groups.items()
  }


def base(
  name: str, words: str, family: Words, stream: str
) -> config_dict.ConfigDict:
  """The sections that do not depend on the network.

  Args:
    name: of the configuration file, e.g. 'agcn_bone'.
    words: what followed the colon.
    family: what may stand there.
    stream: used unless a word names another.

  Returns:
    The unlocked config without the sections features, model and graph;
    features holds the stream alone. Its field `recipe` is what the words ask
    for.
  """
  chosen = choose(words, family)
  given = split(words)
  config = config_dict.ConfigDict()
  config.name = name
  config.words = ','.join(w for w in given if w not in _DEMO_WORDS)
  config.recipe = chosen['recipe'] or next(iter(family.recipes))
  config.use_demo = 'demo' in given
  config.dataset_word = chosen['dataset']
  config.known_words = family.known
  config.seed = 0
  config.deterministic = False  # GPU: bit-identical runs, somewhat slower.

  config.data = config_dict.create(
    dir='',  # Root of prepared datasets; $SKELJAX_DATA when empty.
    dataset=config.dataset_word,
    dims=3,  # Coordinates a joint must have: 2 (pixels) or 3 (metres).
    max_persons=0,  # Persons of a clip that the dataset may have; 0: any.
    normalize='none',  # What data_prep must have done to 3D coordinates.
    # uniform, uniform_pyskl, loop, zero, random_crop or sorted_random.
    frames='uniform',
    clip_len=100,  # Frames the model sees.
    num_clips=1,  # Views of a clip in the final evaluation.
    max_frames=0,  # Padding of whole clips; 0: the dataset's longest clip.
    repeat=1,  # Passes over the clips that make one epoch.
    num_workers=0,  # Processes that read and batch; 0: a thread does.
  )
  config.input = config_dict.create(stream=chosen['stream'] or stream)
  _add_training_sections(config)
  return config


def _add_training_sections(config: config_dict.ConfigDict) -> None:
  config.optim = config_dict.create(
    base_lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,  # On every parameter, as published.
    schedule='step',  # step, cosine or constant.
    milestones=(30, 40),  # Of schedule step: epochs where the rate drops.
    gamma=0.1,
    warmup_steps=0,
    warmup_epochs=0,
    clip_norm=0.0,  # Global gradient norm; 0: no clipping.
    label_smoothing=0.0,
    reference_batch=0,  # Batch that base_lr was published for.
    scale_lr=False,  # base_lr * batch / reference_batch.
  )
  config.loss = config_dict.create(
    name='cross_entropy',  # cross_entropy or cb_focal (BABEL).
    class_weight=(),  # Of the cross entropy, one a class; empty: all 1.
    samples_per_class=(),  # Of cb_focal: training clips of each class.
    beta=0.9999,  # Of cb_focal: how much rare classes weigh; 0: all alike.
    gamma=2.0,  # Of cb_focal: how little clear cases count; 0: all alike.
  )
  config.train = config_dict.create(
    batch_size=16,  # Clips a step over all devices.
    epochs=80.0,
    log_every_steps=50,
    init_from='',  # Workdir or .pth file whose weights to start from.
    init_step='last',  # Of that workdir: last, best or a step.
    pretrained='',  # What the recipe must start from; empty: from chance.
  )
  config.eval = config_dict.create(
    batch_size=64,
    every_epochs=3.0,  # Validation with one view a clip; 0: never.
    average='prob',  # Of the views: prob or score.
    mirrored=False,  # Heatmaps: the final evaluation adds mirrored views.
    views_at_once=0,  # Views of a clip in memory; 0: all of them.
  )
  config.checkpoint = config_dict.create(
    every_epochs=1.0,
    keep=2,  # Latest checkpoints; the best one stays besides.
  )


def finish(
  config: config_dict.ConfigDict,
  words: str,
  family: Words,
  demo: config_dict.ConfigDict,
) -> config_dict.ConfigDict:
  """Adds the demo preset; prints and exits when the word `help` was given.

  Args:
    config: all sections.
    words: what followed the colon.
    family: what may stand there.
    demo: what a run on the demo motions changes.
  """
  config.demo = demo
  if 'help' in split(words):
    print(
      __doc__.format(
        example=f'{config.name}.py:{",".join(_example(family))}',
        groups='\n'.join(_explain(family)),
      )
    )
    print('Fields and their values with these words:\n')
    for field, value in _fields(config):
      print(f'    --config.{field}={value!r}')
    sys.exit(0)
  return config


def _fields(config: config_dict.ConfigDict) -> Iterator[tuple[str, Any]]:
  """What a user may set, as ('section.field', value)."""
  yield 'seed', config.seed
  yield 'deterministic', config.deterministic
  for section, fields in config.items():
    if isinstance(fields, config_dict.ConfigDict) and section != 'demo':
      for field, value in fields.items():
        yield f'{section}.{field}', value


def _example(family: Words) -> list[str]:
  return [list(group)[-1] for group in (family.recipes, family.streams)]


def _explain(family: Words) -> Iterator[str]:
  """Lines on every word and its meaning."""
  for what, group in family.all_groups.items():
    for number, (word, meaning) in enumerate(group.items()):
      yield f'    {"" if number else what:12}  {word:13}  {meaning}'


def _only_one(words: list[str], what: str, known: tuple[str, ...]) -> str:
  if len(words) > 1:
    raise error(
      f'After the colon stand {len(words)} words for the {what}:'
      f' {", ".join(words)}. Known words: {", ".join(known)}; any other'
      ' word names a prepared dataset, and only one of each may stand there.'
    )
  return words[0] if words else ''


def error(text: str) -> Exception:
  """The error of what the user can mend."""
  # Imported here: a config file must load where only its fields are read.
  from skeljax import errors

  return errors.UserError(text)
