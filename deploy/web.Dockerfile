# The image of web, beat and migrate: the hub without torch.
FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /app
COPY requirements ./requirements
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt && useradd --uid 10001 --create-home dovetail
COPY client ./client
RUN uv pip install --system --no-cache --no-deps --require-hashes -r requirements/constraints.txt \
 && uv pip install --system --no-cache --no-deps --build-constraints requirements/build.txt -e client/adapters -e client \
 && export SOURCE_DATE_EPOCH=1704067200 && for project in client/adapters client; do \
      uv build --no-cache --wheel --require-hashes --build-constraints requirements/build.txt --out-dir client/dist $project || exit 1; \
    done

COPY manage.py ./
COPY features ./features
COPY hub ./hub
COPY registry ./registry
COPY workers ./workers
COPY templates ./templates
COPY locale ./locale
COPY static ./static
COPY docs ./docs
COPY deploy ./deploy
# Nothing can be written where the code lies, and the base image has no bytecode of the standard library.
RUN python -m compileall -q -x 'site-packages|/tests?/' "$(python -c 'import os; print(os.path.dirname(os.__file__))')" \
    features hub registry workers deploy
# The key is for this step alone: nothing is signed in it.
RUN DOVETAIL_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_hex(32))') \
    DOVETAIL_STATIC_ROOT=/app/collected python manage.py collectstatic --no-input --verbosity 0 \
 && mkdir -p /data/shelf /data/run /scratch && chown -R 10001:10001 /data /scratch

USER 10001:10001
