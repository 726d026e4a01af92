"""What Apache Kafka needs to run from its own jars: a Java, and the jars, which Maven resolves once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from infra.errors import PipelineError

POM = Path(__file__).with_name("pom.xml")
RUN = Path(__file__).with_name(".run")
OLDEST_JAVA = 17  # https://kafka.apache.org/documentation/#java
MAVEN_TIMEOUT_S = 600  # the jars, over a slow line


class KafkaUnavailable(PipelineError):
    """Apache Kafka cannot run on this machine; the message is the reason."""


def available() -> str | None:
    """The reason why Apache Kafka cannot run here; None when it can. Resolves the jars the first time."""
    try:
        java()
        jars()
    except KafkaUnavailable as unavailable:
        return str(unavailable)
    return None


def java() -> str:
    """The path of a Java that is new enough, from JAVA_HOME or else PATH.

    Raises:
        KafkaUnavailable: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if path is None:
        raise KafkaUnavailable(f"no java {'under JAVA_HOME' if home else 'on PATH'}: install Java {OLDEST_JAVA}+")
    ask = [path, "-version"]
    printed = subprocess.run(ask, capture_output=True, text=True, check=False).stderr  # noqa: S603 - asks java
    version = re.search(r'version "(\d+)', printed)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise KafkaUnavailable(f"{path} is too old ({printed.strip()[:60]!r}): install Java {OLDEST_JAVA}+")
    return path


def jars() -> Path:
    """The folder with the jars of the version that pom.xml names; resolved when it is not there yet.

    Raises:
        KafkaUnavailable: no pom.xml (an installed package), no Maven, or it could not resolve them.
    """
    if not POM.is_file():
        raise KafkaUnavailable("infra/kafka/pom.xml is only in a checkout of the project")
    folder = RUN / f"jars-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not folder.is_dir():
        _resolve(folder)
    return folder


def _resolve(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("no mvn on PATH: install Maven, it resolves the jars of Apache Kafka")
    RUN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUN) as scratch:
        fresh = Path(scratch, "jars")
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"]
        try:
            run = subprocess.run(  # noqa: S603 - our own command
                [maven, "-B", "-q", "-f", str(POM), *goal],
                capture_output=True,
                text=True,
                timeout=MAVEN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KafkaUnavailable(f"Maven did not resolve the jars within {MAVEN_TIMEOUT_S} s") from None
        if run.returncode != 0:
            reason = next((line for line in run.stdout.splitlines() if "[ERROR]" in line), "no reason given")
            raise KafkaUnavailable(f"Maven could not resolve the jars: {reason}")
        if not folder.is_dir():  # somebody else may have been faster
            fresh.rename(folder)
