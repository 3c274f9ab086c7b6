"""The interpreter of the Dockerfile does what ours says and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.debian13.dockerfile import Builder, DockerfileError, Instruction, Stage, parse

REPOSITORY = Path(__file__).parents[3]


def built(tmp_path: Path, text: str) -> Stage:
    """Build from an empty base and a context with two files; RUN is not used here."""
    base = tmp_path / "base"
    base.mkdir()
    context = tmp_path / "context"
    (context / "folder").mkdir(parents=True)
    (context / "one").write_text("1")
    (context / "folder/two").write_text("2")
    builder = Builder(
        work=tmp_path,
        context=context,
        base={"debian": base},
        build_environment={},
        prepare=lambda tree: None,
    )
    return builder.build(parse(text))


def test_continued_lines_are_one_instruction_and_comments_none() -> None:
    assert parse("# why\nFROM a\n\nrun b \\\n  # inside\n && c\n") == [
        Instruction(2, "FROM", "a"),
        Instruction(4, "RUN", "b  && c"),
    ]


def test_an_end_within_a_continuation_is_refused() -> None:
    with pytest.raises(DockerfileError, match="line 1"):
        parse("RUN a \\\n")


def test_files_and_folders_are_copied_from_the_context_and_from_a_stage(tmp_path: Path) -> None:
    stage = built(
        tmp_path,
        "FROM debian AS build\nWORKDIR /src\nCOPY one ./\nCOPY folder ./folder\n"
        "FROM debian\nCOPY --from=build /src /copied\n",
    )
    assert (stage.tree / "copied/one").read_text() == "1"
    assert (stage.tree / "copied/folder/two").read_text() == "2"
    assert not (stage.tree / "src").exists()


def test_the_declarations_of_the_last_stage_are_the_images(tmp_path: Path) -> None:
    stage = built(
        tmp_path,
        'FROM debian\nENV PATH=/opt/bin:$PATH A="b c"\nUSER mail\nEXPOSE 1 2\nVOLUME /data\n'
        "STOPSIGNAL SIGINT\n"
        'HEALTHCHECK --interval=1s CMD ["ask"]\nENTRYPOINT ["serve"]\nCMD ["now"]\n',
    )
    assert stage.environment["PATH"].startswith("/opt/bin:/usr/local/sbin:")
    assert stage.environment["A"] == "b c"
    assert (stage.user, stage.ports, stage.volumes) == ("mail", [1, 2], ["/data"])
    assert stage.stop_signal == "SIGINT"
    assert (stage.health_check, stage.entry_point, stage.command) == (["ask"], ["serve"], ["now"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RUN true\n",
        "FROM elsewhere\n",
        "FROM debian\nADD a b\n",
        "FROM debian\nCOPY --chown=mail one /\n",
        "FROM debian\nCOPY one\n",
        "FROM debian\nENV A\n",
        "FROM debian\nHEALTHCHECK NONE\n",
        "FROM debian\nCMD serve\n",
        'FROM debian\nENTRYPOINT ["serve", 1]\n',
        'FROM debian\nRUN ["serve"]\n',
    ],
)
def test_what_it_does_not_know_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DockerfileError):
        built(tmp_path, text)


def test_our_dockerfile_uses_only_what_it_knows() -> None:
    keywords = {each.keyword for each in parse((REPOSITORY / "Dockerfile").read_text())}
    assert keywords <= {
        "FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
        "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
