"""What pages get of several stages at once: desks to edit prompts at, and what renders a stored call again."""

from app.discrimination.handler import DiscriminationHandler
from app.discrimination.replaying import ReplayHandler
from app.discrimination.trying import JudgeDesk, TryJudgeHandler
from app.engine.handlers import Renderings
from app.evidence.service import gather_evidence
from app.generation.handler import GenerationHandler
from app.generation.trying import GeneratorDesk, TryPromptHandler
from app.pipeline import Stage
from app.prompts.desks import Desks

DESKS: Desks = {desk.kind: desk for desk in (GeneratorDesk(), JudgeDesk())}

RENDERINGS: Renderings = {
    Stage.GENERATE: GenerationHandler(check=gather_evidence),
    Stage.DISCRIMINATE: DiscriminationHandler(),
    Stage.REPLAY: ReplayHandler(),
    Stage.TRY_PROMPT: TryPromptHandler(),
    Stage.TRY_JUDGE: TryJudgeHandler(),
}
