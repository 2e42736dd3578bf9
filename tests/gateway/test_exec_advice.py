"""Which command lines an agent is warned of, and which it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.gateway_bridge._exec_advice import MAX_WARNINGS, Place, advice
from mission_control.gateway_bridge._shell_programs import MAX_MADE, programs

PROJECT = "/home/op/.openclaw/projects/p"
PLACE = Place(
    project=PROJECT,
    src=f"{PROJECT}/src",
    notes=f"{PROJECT}/agents/shuri/working.md",
    cwd=f"{PROJECT}/src",
    home="/home/op",
)

LINKS = [
    "ln -s /etc/passwd x",
    "ln a b",
    "ln -sf ../KANBAN.md board",
    "/bin/ln a b",
    "/usr/bin/ln -s a b",
    "\\ln -s a b",
    "'ln' -s a b",
    '"ln" a b',
    "l'n' -s a b",
    'l""n -s a b',
    "l\\n a b",
    "$'\\x6c\\x6e' -s a b",
    "$'\\154n' -s a b",
    "command ln -s a b",
    "command -- ln -s a b",
    "builtin command ln a b",
    "exec ln -s a b",
    "env ln -s a b",
    "env -i A=b ln -s a b",
    "env -u HOME ln -s a b",
    "env -S 'ln -s a b'",
    "FOO=bar ln -s a b",
    "nice -n 5 ln -s a b",
    "nohup ln -s a b &",
    "time ln -s a b",
    "timeout 5 ln -s a b",
    "timeout -k 1 5 ln a b",
    "stdbuf -oL ln a b",
    "setsid ln -s a b",
    "sudo -u op ln -s a b",
    "sudo ln -s a b",
    "doas ln a b",
    "strace -f ln a b",
    "flock lock ln -s a b",
    "flock lock -c 'ln -s a b'",
    "busybox ln -s a b",
    "toybox ln -s a b",
    "sh -c 'ln -s a b'",
    "bash -lc 'ln -s a b'",
    'bash -c "cd x && ln -s a b"',
    "sh -c \"sh -c 'ln -s a b'\"",
    "zsh -ec 'ln a b'",
    "eval ln -s a b",
    "eval 'ln -s a b'",
    'eval "$(echo ignored)"; ln a b',
    "echo 'ln -s a b' | sh",
    "printf 'ln -s a b\\n' | bash -s",
    "sh <<EOF\nln -s a b\nEOF",
    "bash <<'END'\nset -e\nln -s a b\nEND\necho done",
    "bash <<< 'ln -s a b'",
    "cat <<EOF | sh\nln -s a b\nEOF",
    "ls && ln -s a b",
    "ls; ln a b",
    "ls || ln a b",
    "false & ln a b",
    "(cd x; ln -s a b)",
    "{ ln -s a b; }",
    "if true; then ln -s a b; fi",
    'for f in *; do ln "$f" x/; done',
    "while read l; do ln $l x; done",
    "! ln a b",
    "echo $(ln -s a b)",
    "echo `ln -s a b`",
    'echo "x $(ln -s a b)"',
    "cat <(ln -s a b)",
    "X=ln; $X -s a b",
    "X=ln && ${X} a b",
    "X=l; ${X}n -s a b",
    "ln${IFS}-s${IFS}a${IFS}b",
    "$(which ln) -s a b",
    "$(command -v ln) a b",
    "xargs ln -s a < list",
    "ls | xargs -I{} ln -s {} x/",
    "ls | xargs -n 1 -P 4 ln -t x",
    "find . -name '*.py' -exec ln -s {} x \\;",
    "find . -execdir ln {} y +",
    "find . -exec sh -c 'ln -s \"$1\" x' _ {} \\;",
    "ls | parallel ln -s {} x/",
    "watch -n 1 'ln -s a b'",
    "trap 'ln -s a b' EXIT",
    "su -c 'ln -s a b'",
    "ls\nln -s a b",
    "ls # a comment\nln -s a b",
    "ln \\\n -s a b",
    "link a b",
    "hardlink src",
    "cp -s a b",
    "cp -l a b",
    "cp -rl a b",
    "cp --link a b",
    "cp --symbolic-link a b",
    "cp -as a b",
    "find . | cpio -pdl dest",
    "pax -rwl a b",
    "rsync -a --link-dest=../old a/ b/",
    "git clone ../other here",
    "git clone /srv/repo",
    "git clone --shared https://example.org/x.git",
    "git clone -l . copy",
    "npm link",
    "pnpm link ../lib",
    "yarn link",
    "stow vim",
    'python -c \'import os; os.symlink("a", "b")\'',
    "python3 -c \"import os;os.link('a','b')\"",
    'python3.12 -c \'from pathlib import Path; Path("b").symlink_to("a")\'',
    'python3 -c \'from pathlib import Path; Path("b").hardlink_to("a")\'',
    'python3 -c \'import subprocess; subprocess.run(["ln", "-s", "a", "b"])\'',
    "python3 -c 'import os; os.system(\"ln -s a b\")'",
    "python3 - <<EOF\nimport os\nos.symlink('a', 'b')\nEOF",
    "echo 'import os; os.symlink(1, 2)' | python3",
    "env python3 -c 'import os; os.symlink(1,2)'",
    'perl -e \'symlink("a","b")\'',
    'perl -e \'link("a","b")\'',
    "perl -e 'system(\"ln -s a b\")'",
    'ruby -e \'File.symlink("a", "b")\'',
    'ruby -e \'File.link("a", "b")\'',
    'node -e \'require("fs").symlinkSync("a","b")\'',
    'node -e \'fs.linkSync("a","b")\'',
    'php -r \'symlink("a","b");\'',
    "lua -e 'os.execute(\"ln -s a b\")'",
    "awk 'BEGIN { system(\"ln -s a b\") }'",
    "make -f - <<EOF\nall:\n\tln -s a b\nEOF",
]

LEAVES = [
    "cd ../..",
    "cd ../../q && ls",
    "cd /",
    "cd /tmp",
    "cd ~",
    "cd",
    "cd $HOME",
    "cd ${HOME}/x",
    "cd ~op",
    "pushd /srv",
    "ls && cd /srv",
    "cd x && cd ../../../..",
    "cat /etc/passwd",
    "cat ../../../mission-control.token",
    "cat ~/.ssh/id_ed25519",
    "cat $HOME/.netrc",
    'cat "${HOME}/.netrc"',
    "cat < /etc/shadow",
    "ls /home",
    "ls /root/x",
    "grep -r secret /home/op",
    "cp /etc/passwd .",
    "cp a /tmp/a",
    "cp a ../../q/",
    "mv a /tmp",
    "rm -rf /tmp/x",
    "rm -rf ~",
    "rm -rf /usr/lib/x",
    "mkdir -p /srv/x",
    "touch /usr/x",
    "tee /tmp/log",
    "ls | tee -a ../../x",
    "dd if=/etc/passwd of=x",
    "dd if=x of=/usr/x",
    "echo x > /tmp/x",
    "echo x >> ~/.bashrc",
    "echo x >| /tmp/x",
    "make &> /tmp/log",
    "make 2> /var/log/x",
    "echo x >/usr/x",
    "sh -c 'echo x > /tmp/x'",
    "tar -xf a.tar -C /srv",
    "tar -xf a.tar --directory=/srv",
    "tar -xf a.tar -C/srv",
    "unzip a.zip -d ../..",
    "sed -i s/a/b/ /etc/hosts",
    "git -C ../../q status",
    "git clone https://example.org/x.git ../../x",
    "gcc -o/tmp/x x.c",
    "python /srv/x.py",
    "chmod 777 /srv",
    "(cd /srv; ls)",
    "cd ${PWD}/../../..",
    "curl -o /tmp/x https://example.org",
    "mount --bind /srv x",
    "mount -o bind a b",
    "sudo mount -t tmpfs none x",
    "env cat /etc/passwd",
    "xargs cat /etc/passwd",
    "find /home -name x",
]

KEPT = [
    "echo x > ../KANBAN.md",
    "cd .. && echo x > KANBAN.md",
    "cd .. && rm -r daily",
    "rm ../CHRONICLE.md",
    "mv ../KANBAN.md .",
    "cp a ../agents/okoye/working.md",
    "tee ../agents/shuri/SOUL.md < a",
    "touch ../x",
    "mkdir ../new",
    "sed -i 's/a/b/' ../.context",
]

USUAL = [
    "ls",
    "ls -la",
    "ls ..",
    "ls -l /usr/include",
    "cat ../KANBAN.md",
    "cat ../agents/shuri/learned.md",
    "head -n 5 ../.context",
    "cd ..",
    "cd .. && ls && cat KANBAN.md",
    "cd sub/dir && make",
    "cd sub && cd .. && touch x",
    "(cd ..; ls); touch x",
    f"cd {PROJECT}/src && touch x",
    "echo x >> ../agents/shuri/working.md",
    "npm test",
    "npm install --save-dev vitest",
    "npm run build -- --link",
    "npx tsc -p .",
    "pnpm install",
    "git status",
    "git log --oneline main..HEAD",
    "git diff HEAD~1",
    "git commit -m 'ln -s is gone; see /etc/passwd'",
    'git commit -m "/srv: fix the thing"',
    "git clone https://github.com/example/x.git",
    "git clone --depth 1 git@github.com:example/x.git y",
    "git clone --no-hardlinks . copy",
    "git checkout -b link",
    "python main.py",
    "python3 -m pytest -q",
    "python -c 'print(1)'",
    "python -c 'print(\"link\")'",
    "/usr/bin/python3 main.py",
    "/usr/bin/env python3 main.py",
    "node server.js",
    "node -e 'console.log(1)'",
    'echo "ln -s a b"',
    "echo ln -s a b",
    "echo 'see /etc/passwd'",
    "echo cd /tmp",
    "printf '%s\\n' ~",
    "grep -rn 'ln -s' .",
    "grep -n symlink main.py",
    "grep /foo/ x",
    "sed -n '/start/,/end/p' file",
    "sed 's/ln/cp/' file > other",
    "awk '/foo/ {print $1}' x",
    "awk '{print $1 / 2}' x",
    "find . -name '*.ln'",
    "find . -type l",
    "find . -exec cat {} \\;",
    "ls | xargs wc -l",
    "cp a b",
    "cp -r a b",
    "cp -a a b",
    "cp ../.context notes",
    "cp /usr/share/dict/words .",
    "mv a b",
    "rm -rf build",
    "rm -rf ./build ../src/x",
    "mkdir -p a/b/c",
    "touch a",
    "make",
    "make -j4 > build.log 2>&1",
    "make 2>/dev/null",
    "make >/dev/null 2>&1 &",
    "cargo build --release",
    "go test ./...",
    "tar -czf out.tgz src",
    "tar -xzf a.tgz",
    "unzip a.zip",
    "unzip a.zip -d here",
    "rsync -a a/ b/",
    "curl https://example.org/a/../b -o x",
    "curl -s http://127.0.0.1:8080/api | jq '.items[]'",
    "docker ps",
    "sh build.sh",
    "bash -c 'ls | wc -l'",
    "cat <<EOF > notes.txt\nln -s a b\ncd /tmp\nEOF",
    "cat > x.sh <<'EOF'\n#!/bin/sh\nls\nEOF",
    "ln --help",
    "man ln",
    "which ln",
    "command -v ln",
    "type ln",
    "pip install -r requirements.txt",
    "test -f /etc/os-release && echo yes",
    "[ -d /tmp ] || exit 1",
    "export PATH=$PATH:/srv/bin",
    "X=/tmp/x ls",
    "ls $TMPDIR/x",
    'cat "$FILE"',
    "if [ -f x ]; then cat x; fi",
    "for i in 1 2 3; do echo $i; done",
    "sleep 1",
    "",
    "   ",
    "# ln -s a b",
    "ls # ln -s a b",
    "mount",
    "mission-control task move T1 done",
    "python manage.py link",
    "./ln.py",
    "tail -f log",
    "wc -l < x",
    "diff a b",
    "diff <(sort a) <(sort b)",
    "date +%d/%m/%Y",
    "kill -9 123",
    "echo $((1 + 2))",
    "echo 'unfinished",
]


@pytest.mark.parametrize("command", LINKS)
def test_a_command_that_makes_links_is_warned_of_however_it_is_disguised(command: str) -> None:
    assert any("makes a link" in warning for warning in advice(command, PLACE)), command


@pytest.mark.parametrize("command", LEAVES)
def test_a_command_that_leaves_the_project_is_warned_of(command: str) -> None:
    said = " ".join(advice(command, PLACE))
    assert "outside your project" in said or "may be elsewhere" in said, command


@pytest.mark.parametrize("command", KEPT)
def test_a_command_that_writes_what_the_service_keeps_is_warned_of(command: str) -> None:
    assert any("kept by Mission Control" in warning for warning in advice(command, PLACE)), command


@pytest.mark.parametrize("command", USUAL)
def test_usual_commands_are_not_warned_of(command: str) -> None:
    assert advice(command, PLACE) == ()


def test_words_that_no_shell_reads_are_judged_as_they_are() -> None:
    assert advice(["ln", "-s", "a", "b"], PLACE)
    assert advice(["sh", "-c", "ln -s a b"], PLACE)
    assert advice(["cat", "/etc/passwd"], PLACE)
    assert not advice(["echo", "x;", "ln", "-s", "a", "b"], PLACE)
    assert not advice(["cat", "> /tmp/x"], PLACE)
    assert not advice([], PLACE)


def test_a_warning_shows_the_command_and_says_what_to_do() -> None:
    (said,) = advice("cd sub && ln -s a b", PLACE)
    assert said.startswith("`ln -s a b` makes a link.")
    assert "copy the file instead" in said
    assert PROJECT not in said


def test_a_subshell_and_the_folder_it_enters_are_left_again() -> None:
    assert len(advice("(cd /srv; touch x); touch y", PLACE)) == 2
    assert advice("cd ..; touch y", PLACE)


def test_no_command_is_answered_with_a_flood() -> None:
    many = "; ".join(f"cat /srv/{n}" for n in range(100))
    assert len(advice(many, PLACE)) == MAX_WARNINGS


@given(st.text(alphabet="ln -s\"'\\$(){}`<>|&;~/.\n#=abc", max_size=60))
def test_whatever_is_written_there_is_an_answer(command: str) -> None:
    advice(command, PLACE)


@pytest.mark.parametrize(
    "command",
    [
        "$(" * 4000,
        "sh -c " * 1500,
        "eval " * 1500,
        "`" * 8000,
        "(" * 8000,
        '"$(' * 2000,
        "a=b " * 2000,
        "<<x " * 2000,
        "sh -c '" * 900,
        "watch " * 1300,
        "flock -c " * 800,
        "env -S " * 1000,
        "find . " + "-exec " * 1300,
        "cp -" + "l" * 7900 + "! a",
        "sh -" + "c" * 7900 + "! a",
        f"git clone {'a' * 7900}",
        f"python3 -c ' ln{' ' * 7900}'",
        ["python3", "-c", f" ln{' ' * 1_000_000}"],
        ["env"] * 1_000_000,
    ],
)
def test_hostile_depth_and_length_are_no_trouble(command: str | list[str]) -> None:
    advice(command, PLACE)


@pytest.mark.parametrize(
    "line",
    [
        "a=xxxxxxxx;" + "a=$a$a;" * 20 + "echo $a",
        "eval $(" * 500 + ")" * 500,
        'eval "$(' * 500 + ')"' * 500,
        "a='eval \"$a;$a;$a\"';" + "a=$a$a;" * 8 + 'eval "$a"',
    ],
)
def test_what_a_line_makes_of_itself_has_an_end(line: str) -> None:
    made = sum(len(word) for program in programs(line) for word in program.words)
    assert made <= 100 * MAX_MADE


def test_a_variable_is_put_in_wherever_a_usual_line_uses_it() -> None:
    line = "dir=../agents; " + "ls $dir; " * 100 + "touch $dir/a"
    assert any("kept by Mission Control" in warning for warning in advice(line, PLACE))
