"""How each stage reads its stored replies again: the engine knows no stage, and is given these."""

from app.discrimination.rereading import reread as reread_verdicts
from app.engine.rereading import Rereaders
from app.generation.rereading import reread as reread_texts
from app.pipeline import Stage

REREADERS: Rereaders = {Stage.GENERATE: reread_texts, Stage.DISCRIMINATE: reread_verdicts}
