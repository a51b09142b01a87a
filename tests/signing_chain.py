"""Certificates for tests that sign: an authority of the test's own, and one that it issued."""

import shutil
import subprocess
from pathlib import Path

import pytest

EXTENSIONS = """
[ca]
basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[leaf]
basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,emailProtection
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def run_openssl(folder: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


def make_chain(folder: Path) -> Path:
    """Write ca.pem, leaf.key and chain.pem (the leaf, then the authority) into `folder`."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so no certificate can be made")
    (folder / "x.cnf").write_text(EXTENSIONS)
    for name in ("ca", "leaf"):
        run_openssl(
            folder, f"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"
        )
        run_openssl(folder, f"req -new -key {name}.key -subj /O=Test/CN={name} -out {name}.csr")
    signing = "-days 30 -sha256 -extfile x.cnf"
    run_openssl(
        folder, f"x509 -req -in ca.csr -signkey ca.key {signing} -extensions ca -out ca.pem"
    )
    run_openssl(
        folder,
        f"x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial {signing} "
        "-extensions leaf -out leaf.pem",
    )
    chain = (folder / "leaf.pem").read_text() + (folder / "ca.pem").read_text()
    (folder / "chain.pem").write_text(chain)
    return folder
