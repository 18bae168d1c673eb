{{/* What pods of the hub share: rights, environment, volumes. */}}

{{/* Rights of a pod, those of Kubernetes' level "restricted"; called with a user id. */}}
{{- define "dovetail.podRights" -}}
automountServiceAccountToken: false
enableServiceLinks: false  # a Service's variables would begin with DOVETAIL_ and be taken for settings
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "dovetail.rights" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A setting's value as the hub reads it: yes and no, whole numbers without an exponent. */}}
{{- define "dovetail.value" -}}
{{- if kindIs "bool" . -}}{{ ternary "on" "off" . }}
{{- else if kindIs "float64" . -}}{{ int64 . }}
{{- else -}}{{ . }}
{{- end -}}
{{- end -}}

{{/* The data of the ConfigMap of settings. */}}
{{- define "dovetail.settings" -}}
{{- range $name, $value := .Values.settings }}
{{- if ne (toString $value) "" }}
{{ $name }}: {{ include "dovetail.value" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Sources of the environment; called with (list $ suffix), as the job of migrations runs before the release is there. */}}
{{- define "dovetail.envFrom" -}}
{{- $root := index . 0 -}}
- configMapRef: {name: {{ include "dovetail.name" $root }}{{ index . 1 }}}
- secretRef: {name: {{ $root.Values.existingSecret | default (printf "%s%s" (include "dovetail.name" $root) (index . 1)) }}}
{{- end -}}

{{/* The environment that the pods fix, after the settings; called with (list $ suffix). */}}
{{- define "dovetail.env" -}}
{{- $root := index . 0 -}}
{{- $v := $root.Values -}}
{{- $secret := $v.existingSecret | default (printf "%s%s" (include "dovetail.name" $root) (index . 1)) -}}
- {name: DOVETAIL_PRODUCTION, value: "on"}
- {name: DOVETAIL_DATA, value: /data}
- {name: DOVETAIL_SHELF, value: /data/shelf}
- {name: DOVETAIL_ENGINES, value: /app/.engines}
- {name: DOVETAIL_STATIC_ROOT, value: /app/collected}
# nginx, in the same pod, is the one proxy of the hub, and it writes this header.
- {name: DOVETAIL_TRUSTED_PROXIES, value: 127.0.0.1}
- {name: DOVETAIL_PROXY_HEADER, value: X-Forwarded-For}
- {name: AWS_DEFAULT_REGION, value: {{ $v.region | quote }}}
- {name: TMPDIR, value: /scratch}
{{- if $v.postgres.enabled }}
- name: POSTGRES_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: POSTGRES_PASSWORD}}
- {name: DOVETAIL_DATABASE_URL, value: "postgres://dovetail:$(POSTGRES_PASSWORD)@{{ include "dovetail.name" $root }}-postgres:5432/dovetail"}
{{- end }}
{{- if $v.redis.enabled }}
- name: REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: REDIS_PASSWORD}}
- {name: DOVETAIL_BROKER_URL, value: "redis://:$(REDIS_PASSWORD)@{{ include "dovetail.name" $root }}-redis:6379/0"}
{{- end }}
{{- if $v.s3.enabled }}
- {name: DOVETAIL_BLOBS, value: "s3://dovetail-blobs?endpoint=http://{{ include "dovetail.name" $root }}-s3:8333&public={{ $v.settings.DOVETAIL_PUBLIC_URL }}"}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Waits until the tables are those of this release; called with (list $ image). */}}
{{- define "dovetail.waitForTables" -}}
{{- $root := index . 0 -}}
- name: tables
  image: {{ index . 1 }}
  imagePullPolicy: {{ $root.Values.imagePullPolicy }}
  command: [sh, -c, "until python manage.py migrate --check >/dev/null; do sleep 3; done"]
  envFrom: {{- include "dovetail.envFrom" (list $root "") | nindent 4 }}
  env: {{- include "dovetail.env" (list $root "") | nindent 4 }}
  securityContext: {{- include "dovetail.rights" $root | nindent 4 }}
  resources:
    requests: {cpu: 50m, memory: 128Mi}
    limits: {memory: 1Gi}
  volumeMounts: {{- include "dovetail.mounts" $root | nindent 4 }}
{{- end -}}

{{- define "dovetail.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: scratch, mountPath: /scratch}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Volumes of a pod; called with (list $ size-of-scratch). Small things are in memory, files of revisions on disk. */}}
{{- define "dovetail.volumes" -}}
{{- $root := index . 0 -}}
- {name: tmp, emptyDir: {medium: Memory, sizeLimit: 256Mi}}
- {name: scratch, emptyDir: {sizeLimit: {{ index . 1 }}}}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "dovetail.shelf" -}}
- name: shelf
  persistentVolumeClaim: {claimName: {{ .Values.shelf.existingClaim | default (printf "%s-shelf" (include "dovetail.name" .)) }}}
{{- end -}}

{{/* Where pods of a kind go; called with (list $ component): on as many nodes and zones as there are. */}}
{{- define "dovetail.spread" -}}
{{- $labels := include "dovetail.selector" . -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- $labels | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Annotations of pods: what they read at their start; a change of it starts them anew. */}}
{{- define "dovetail.annotations" -}}
checksum/settings: {{ printf "%s%s" (include "dovetail.settings" .) (toJson .Values.secrets) | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where an operator wants pods; called with the values of the part. */}}
{{- define "dovetail.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
