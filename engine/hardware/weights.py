"""What was measured here of the modes to multiply by a model's frozen weights: which is fastest."""

from engine.hardware.report import Check
from engine.i18n import _
from engine.model.matmul_timings import read_calibrations
from engine.model_folder.dimensions import ModelDimensions
from engine.sanitize import one_line
from engine.setting_words import value_word


def check_weights(shape: ModelDimensions | None) -> Check | None:
    """Report the newest measurement of a matrix that the base model has.

    Args:
        shape: sizes of the base model; None where they are not known.

    Returns:
        None before the first run with such a model, which makes it.
    """
    kinds = _kinds(shape) if shape and shape.bits else ()
    known = read_calibrations()
    name = next((name for name in reversed(known) if any(kind in name for kind in kinds)), None)
    if name is None:
        return None
    times = known[name]
    from_the_fastest_on = sorted(times.items(), key=lambda item: item[1])
    value = ", ".join(
        _("{way} {time:.1f} ms").format(way=value_word(mode), time=seconds * 1e3)
        for mode, seconds in from_the_fastest_on
    )
    return Check("weights", _("Frozen weights"), value, "ok", one_line(name, 120))


def _kinds(shape: ModelDimensions) -> tuple[str, ...]:
    """Return what the measurements of a model's matrices have in their names."""
    matrices = {*shape.projections.values(), (shape.hidden, shape.vocab)}
    return tuple(
        f": {outputs}x{inputs} {shape.bits}-bit/{shape.group_size} {shape.mode}, "
        for inputs, outputs in matrices
    )
