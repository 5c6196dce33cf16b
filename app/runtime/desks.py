"""What pages get of several stages at once: desks to edit prompts at, and what renders a stored call again."""

from app.discrimination import rendering as judge
from app.discrimination.trying import JudgeDesk
from app.generation import correcting, trying
from app.generation import rendering as generator
from app.generation.trying import GeneratorDesk
from app.pipeline import Stage
from app.prompts.desks import Desks
from app.runs.rendering import Renderers

DESKS: Desks = {desk.kind: desk for desk in (GeneratorDesk(), JudgeDesk())}

RENDERERS: Renderers = {
    Stage.GENERATE: generator.rendered,
    Stage.DISCRIMINATE: judge.rendered,
    Stage.CORRECT: correcting.rendered,
    Stage.CONFIRM: judge.rendered,
    Stage.REPLAY: judge.rendered,
    Stage.TRY_PROMPT: trying.rendered,
    Stage.TRY_JUDGE: judge.rendered,
}
