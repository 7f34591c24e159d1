#!/bin/sh
# Install each rival into a virtual environment of its own: setup.sh DIR
set -eu
dir=$1
for name in contexteval recallops contexttrace retrieval-lab inferdoctor ragmortem; do
    python3 -m venv "$dir/$name"
done
"$dir/contexteval/bin/pip" install -q 'contexteval[openai]==0.4.0' numpy
"$dir/recallops/bin/pip" install -q recallops==0.2.0
"$dir/contexttrace/bin/pip" install -q contexttrace==1.3.0
"$dir/retrieval-lab/bin/pip" install -q retrieval-lab==0.1.0
"$dir/inferdoctor/bin/pip" install -q inferdoctor==0.8.0
"$dir/ragmortem/bin/pip" install -q 'torch>=2.6,<2.14' ragmortem==0.2.0
