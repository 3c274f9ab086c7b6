"""What `mailfront check` says of PKCS#11: the modules, and whether their keys can serve TLS here.

Takes a server root, the options and the keystore after a look at its tokens; returns problems and
warnings. What is wrong with a token that a service wants is told with that service.
"""

from __future__ import annotations

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import OperatorError
from mailfront.keystore.accelerators import accelerator_faults
from mailfront.keystore.keystore import Keystore, qualified
from mailfront.keystore.pkcs11.library_file import check_library
from mailfront.keystore.pkcs11.modules import Module, external_modules
from mailfront.server.certificates import ALPN, nicknames_of
from mailfront.tls.pkcs11_provider import provider_fault


def check_tokens(
    root: ServerRoot, configuration: Configuration, keystore: Keystore
) -> tuple[list[str], list[str]]:
    """Return problems and warnings; both empty where no module is installed and enabled."""
    problems: list[str] = []
    warnings: list[str] = []
    try:
        modules = external_modules(root)
    except OperatorError as failure:
        return [str(failure)], []
    for module in modules:
        where = warnings if module.optional else problems
        where += _faults_of(module)
    if not modules:
        return problems, warnings
    optional = {module.name for module in modules if module.optional}
    for name, fault in keystore.faults_by_module().items():
        (warnings if name in optional else problems).append(fault)
    warnings += accelerator_faults(modules, keystore.tokens())
    if fault := provider_fault():
        (problems if _wants_tokens(configuration) else warnings).append(fault)
    return problems, warnings


def _faults_of(module: Module) -> list[str]:
    assert module.library is not None
    try:
        check_library(module.library)
    except OperatorError as failure:
        return [f"the PKCS#11 module {module.name!r}: {failure}"]
    return []


def _wants_tokens(configuration: Configuration) -> bool:
    nicknames = [each for service in ALPN for each in nicknames_of(configuration, service)]
    return any(":" in each and not qualified(each).is_internal for each in nicknames)
