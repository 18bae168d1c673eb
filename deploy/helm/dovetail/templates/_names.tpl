{{/* Names and labels. */}}

{{- define "dovetail.name" -}}
{{- $name := .Values.nameOverride | default .Release.Name -}}
{{- $full := ternary $name (printf "%s-dovetail" $name) (contains "dovetail" $name) -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The labels by which selectors find pods; called with (list $ "component"). */}}
{{- define "dovetail.selector" -}}
app.kubernetes.io/name: dovetail
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "dovetail.labels" -}}
{{ include "dovetail.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: dovetail-{{ (index . 0).Chart.Version }}
{{- end -}}

{{/* An image; called with (list $ image). */}}
{{- define "dovetail.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The host of the public address. */}}
{{- define "dovetail.host" -}}
{{- regexReplaceAll ":[0-9]+$" (urlParse .Values.settings.DOVETAIL_PUBLIC_URL).host "" -}}
{{- end -}}

{{- define "dovetail.secret" -}}
{{- .Values.existingSecret | default (include "dovetail.name" .) -}}
{{- end -}}
