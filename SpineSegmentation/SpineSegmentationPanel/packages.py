"""The Python packages that Slicer does not bring along."""

import slicer
import slicer.packaging
from slicer.i18n import tr as _


def ensure_packages(requirements_path: str) -> None:
    """Offers to install what is missing; asks once.

    PyTorch comes from the PyTorch extension, which knows the build that suits the computer's GPU, if it is there.

    Raises:
        RuntimeError: a person declined.
    """
    requirements = slicer.packaging.load_requirements(requirements_path)
    torch = next(requirement for requirement in requirements if requirement.name == "torch")
    asked = False
    if not slicer.packaging.pip_check(torch) and not slicer.app.testingEnabled():
        try:
            import PyTorchUtils
        except ImportError:
            pass
        else:
            installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(
                askConfirmation=True, torchVersionRequirement=str(torch.specifier)
            )
            if installed is None:
                raise RuntimeError(_("PyTorch was not installed; the vertebrae cannot be segmented without it"))
            asked = True
    slicer.packaging.pip_ensure(requirements, requester="Spine Segmentation", prompt_install=not asked)
