# The image of worker and manage: the hub, and beside it the interpreter of each engine.
FROM postgres:17.11-bookworm@sha256:051f7b7b3abdd564d5d1bd1e8c4b9c1b6e77087d1dd22020ede611c096a272e0 AS postgres
# pg_dump and pg_restore of the server's release, with what they load but the C library, which both images share.
RUN cd /usr/lib/postgresql/17/bin && mkdir -p /client/lib && cp pg_dump pg_restore /client/ \
 && ldd ./pg_dump ./pg_restore | awk '$3 ~ /^\// && $1 !~ /^(libc|libm|libdl|librt|libpthread|libresolv)\.so/ {print $3}' \
  | sort -u | xargs cp -L -t /client/lib

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /app
COPY requirements ./requirements
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt && useradd --uid 10001 --create-home dovetail
# On x86-64 PyPI's torch is the CUDA build, so torch alone comes from PyTorch's index of CPU builds. For workers with a GPU
# another index of PyTorch's is given, and then the build must be a CUDA build.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# The hash of the file of torch that this index gives for this processor, which the index states beside it; empty: not compared.
ARG TORCH_SHA256=
# One cache and hard links: what the engines have in common, torch above all, is in the image once.
RUN export UV_LINK_MODE=hardlink UV_CACHE_DIR=/app/.uv && set -e \
 && for file in requirements/engine-[0-9]*.txt; do \
      home=.engines/e$(basename "$file" .txt | cut -d- -f2) && uv venv "$home" \
      && uv pip install --python "$home/bin/python" --no-deps --require-hashes \
         -r "$(sed -n 's|^-c |requirements/|p' "$file")" \
      && echo "$(grep -h '^torch==' requirements/engine-common.txt)${TORCH_SHA256:+ --hash=sha256:$TORCH_SHA256}" > torch.txt \
      && uv pip install --python "$home/bin/python" --no-deps --index-url "$TORCH_INDEX" -r torch.txt \
      && case "$TORCH_INDEX" in */cpu) expected=True;; \
         *) expected=False; uv pip install --python "$home/bin/python" -r "$file";; esac \
      && "$home/bin/python" -c "import torch; assert (torch.version.cuda is None) is $expected, torch.version.cuda" || exit 1; \
    done && rm -rf /app/.uv torch.txt

COPY client ./client
RUN uv pip install --system --no-cache --no-deps --require-hashes -r requirements/constraints.txt \
 && uv pip install --system --no-cache --no-deps --build-constraints requirements/build.txt -e client/adapters -e client

COPY manage.py ./
COPY features ./features
COPY hub ./hub
COPY registry ./registry
COPY workers ./workers
COPY templates ./templates
COPY locale ./locale
COPY static ./static
COPY deploy ./deploy
COPY --from=postgres /client /opt/postgresql
RUN for program in pg_dump pg_restore; do \
      printf '#!/bin/sh\nLD_LIBRARY_PATH=/opt/postgresql/lib exec /opt/postgresql/%s "$@"\n' $program > /usr/local/bin/$program \
      && chmod 755 /usr/local/bin/$program && $program --version || exit 1; \
    done
# Nothing can be written where the code lies, and the base image has no bytecode of the standard library.
RUN python -m compileall -q -x 'site-packages|/tests?/' "$(python -c 'import os; print(os.path.dirname(os.__file__))')" \
    features hub registry workers deploy
RUN mkdir -p /data/shelf /scratch /backup && chown -R 10001:10001 /data /scratch /backup

USER 10001:10001
