{{/* What a schema cannot see: parts that need one another. Each sentence names the value and what to do. */}}

{{- define "dovetail.refuse" -}}
{{- $v := .Values -}}
{{- if not (hasPrefix "http" $v.settings.DOVETAIL_PUBLIC_URL) -}}
{{- fail "settings.DOVETAIL_PUBLIC_URL is missing: set it to the address that people type, with the scheme." -}}
{{- end -}}
{{- if not $v.existingSecret -}}
  {{- $needed := list "DOVETAIL_SECRET_KEY" -}}
  {{- if or $v.s3.enabled (not $v.serviceAccount.annotations) -}}
  {{- $needed = concat $needed (list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY") -}}
  {{- end -}}
  {{- $needed = append $needed (ternary "POSTGRES_PASSWORD" "DOVETAIL_DATABASE_URL" $v.postgres.enabled) -}}
  {{- $needed = append $needed (ternary "REDIS_PASSWORD" "DOVETAIL_BROKER_URL" $v.redis.enabled) -}}
  {{- range $needed -}}
    {{- if not (index $v.secrets .) -}}
    {{- fail (printf "secrets.%s is missing: set it, or name a Secret with it in existingSecret." .) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $v.serviceMonitor.enabled (not $v.secrets.DOVETAIL_METRICS_TOKEN) -}}
  {{- fail "serviceMonitor needs secrets.DOVETAIL_METRICS_TOKEN: without it Prometheus reads nothing." -}}
  {{- end -}}
{{- end -}}
{{- if eq $v.s3.enabled (not (empty $v.settings.DOVETAIL_BLOBS)) -}}
{{- fail "Bytes are kept in one place: either s3.enabled, or settings.DOVETAIL_BLOBS with the address of S3 elsewhere." -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.stores) (not (and $v.postgres.enabled $v.redis.enabled $v.s3.enabled)) -}}
{{- fail "networkPolicy.stores must name the networks and ports of the stores that are elsewhere: pods reach nothing else." -}}
{{- end -}}
{{- if and $v.web.nginx.plane (not $v.settings.DOVETAIL_PLANE_URL) -}}
{{- fail "web.nginx.plane needs settings.DOVETAIL_PLANE_URL: without it nothing is written there." -}}
{{- end -}}
{{- if and $v.backup.enabled (not $v.backup.blobs) -}}
{{- fail "backup.blobs must name the bucket that gets a copy of the bytes." -}}
{{- end -}}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) -}}
{{- fail "gateway.parentRefs must name your Gateway." -}}
{{- end -}}
{{- range $name, $group := $v.workers -}}
  {{- if and (eq ($group.kind | default "deployment") "job") (not $v.keda.enabled) -}}
  {{- fail (printf "workers.%s is a job: only KEDA starts it, so set keda.enabled." $name) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
