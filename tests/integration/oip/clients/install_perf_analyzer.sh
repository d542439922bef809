#!/usr/bin/env bash
# Puts Triton's perf_analyzer into FOLDER as FOLDER/perf_analyzer. Its wheel asks for glibc 2.38; on an older Debian it gets
# the libraries of Debian 13 beside it, taken by apt into FOLDER and nowhere else.
# usage: install_perf_analyzer.sh PYTHON FOLDER
set -euo pipefail
python=$1 folder=$2
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"

"$python" -m pip download --quiet --no-deps --dest . --only-binary=:all: --platform manylinux_2_38_x86_64 perf-analyzer==2.60.0
"$python" -m zipfile -e perf_analyzer-*.whl wheel
binary=$PWD/wheel/perf_analyzer/bin/perf_analyzer
chmod +x "$binary"
if "$binary" --version >/dev/null 2>&1; then
    ln -s "$binary" perf_analyzer
    exit
fi

mkdir -p apt/sources apt/lists/partial apt/cache/archives/partial libraries
cat >apt/sources/trixie.sources <<'END'
Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
options=(-qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$PWD/apt/sources"
    -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
apt-get "${options[@]}" download libc6 libstdc++6 libgcc-s1
for package in *.deb; do dpkg-deb -x "$package" libraries; done
rm -rf apt ./*.deb ./*.whl

newer=$PWD/libraries/usr/lib/x86_64-linux-gnu
cat >perf_analyzer <<END
#!/bin/sh
exec "$newer/ld-linux-x86-64.so.2" --library-path "$newer:/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu" "$binary" "\$@"
END
chmod +x perf_analyzer
./perf_analyzer --version
