{{/* Workers: one pod template for deployments and for jobs, and the question by which KEDA counts rows. */}}

{{/* A group with the values that it does not say itself; called with (list $ name). Returns YAML. */}}
{{- define "dovetail.group" -}}
{{- $root := index . 0 -}}
{{- mergeOverwrite (deepCopy $root.Values.workerDefaults) (deepCopy (index $root.Values.workers (index . 1) | default dict)) | toYaml -}}
{{- end -}}

{{/* The pod of a group; called with (list $ name group). */}}
{{- define "dovetail.workerPod" -}}
{{- $root := index . 0 -}}
{{- $group := index . 2 -}}
{{- $component := printf "worker-%s" (index . 1) -}}
{{- $image := include "dovetail.image" (list $root (mergeOverwrite (deepCopy $root.Values.images.worker) $group.image)) -}}
{{- $ends := eq $group.kind "job" -}}
metadata:
  labels:
    {{- include "dovetail.labels" (list $root $component) | nindent 4 }}
    dovetail/worker: "true"
  annotations: {{- include "dovetail.annotations" $root | nindent 4 }}
spec:
  {{- include "dovetail.podRights" 10001 | nindent 2 }}
  serviceAccountName: {{ include "dovetail.name" $root }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $ends }}
  restartPolicy: Never
  {{- end }}
  {{- with $group.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $group.graceSeconds }}
  topologySpreadConstraints: {{- include "dovetail.spread" (list $root $component) | nindent 4 }}
  {{- include "dovetail.placement" $group | nindent 2 }}
  initContainers:
    {{- include "dovetail.waitForTables" (list $root $image) | nindent 4 }}
  containers:
    - name: worker
      image: {{ $image }}
      imagePullPolicy: {{ $root.Values.imagePullPolicy }}
      command: [python, -m, celery, -q, -A, hub.celery, worker, -P, prefork, -X, errands, --without-gossip, --without-mingle, --loglevel, INFO]
      envFrom: {{- include "dovetail.envFrom" (list $root "") | nindent 8 }}
      env:
        {{- include "dovetail.env" (list $root "") | nindent 8 }}
        - {name: DOVETAIL_ENGINE_DEVICE, value: {{ $group.device | quote }}}
        - {name: DOVETAIL_WORKER_CONCURRENCY, value: {{ $group.concurrency | quote }}}
        {{- if $ends }}
        - {name: DOVETAIL_WORKER_IDLE_SECONDS, value: {{ $group.idleSeconds | quote }}}
        {{- end }}
        {{- range $key, $value := $group.settings }}
        - {name: {{ $key }}, value: {{ include "dovetail.value" $value | quote }}}
        {{- end }}
      securityContext: {{- include "dovetail.rights" $root | nindent 8 }}
      resources:
        requests: {{- toYaml $group.resources.requests | nindent 10 }}
        limits:
          {{- toYaml $group.resources.limits | nindent 10 }}
          {{- if $group.gpus }}
          {{ $group.gpuResource }}: {{ $group.gpus }}
          {{- end }}
      # A heartbeat is a row in the database: a pod without one is not ready. It is ended only if its main process hangs.
      readinessProbe:
        exec: {command: [python, deploy/alive.py, worker]}
        initialDelaySeconds: 15
        periodSeconds: 30
        timeoutSeconds: 15
      livenessProbe:
        exec: {command: [python, deploy/alive.py, beating]}
        initialDelaySeconds: 120
        periodSeconds: 60
        timeoutSeconds: 15
      volumeMounts:
        {{- include "dovetail.mounts" $root | nindent 8 }}
        - {name: shelf, mountPath: /data/shelf, subPath: {{ $group.shelf }}, readOnly: true}
  volumes:
    {{- include "dovetail.volumes" (list $root $group.scratch) | nindent 4 }}
    {{- include "dovetail.shelf" $root | nindent 4 }}
{{- end -}}

{{/*
SQL that counts the rows a group is for: those that run, and those that wait for nothing but a worker. Rows of a base that
is on no shelf, beyond their owner's limit, or to be tried later start no pod. Called with (list $ name group).
*/}}
{{- define "dovetail.rows" -}}
{{- $root := index . 0 -}}
{{- $own := (index . 2).bases -}}
{{- $others := list -}}
{{- range $name, $group := $root.Values.workers -}}
  {{- if $group -}}{{- $others = concat $others ($group.bases | default list) -}}{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range ($own | default $others) -}}
  {{- $names = append $names (printf "'%s'" (lower . | replace "'" "''")) -}}
{{- end -}}
SELECT count(*) FROM registry_verdict WHERE
(state = 'running' OR (state = 'queued' AND held_at IS NULL AND (not_before IS NULL OR not_before <= CURRENT_TIMESTAMP)))
AND (route = '' OR route IN (SELECT lower(id) FROM registry_base WHERE has_weights))
{{- if $names }}
AND route {{ if not $own }}NOT {{ end }}IN ({{ join ", " $names }})
{{- end }}
{{- end -}}
