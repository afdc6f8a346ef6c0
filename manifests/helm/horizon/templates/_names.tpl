{{- define "horizon.labels" -}}
app.kubernetes.io/part-of: horizon
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "horizon.controllerLabels" -}}
app.kubernetes.io/name: horizon-controller
{{ include "horizon.labels" . }}
{{- end }}

{{- /* The rights in the whole cluster have one name for each release that sees but one namespace. */}}
{{- define "horizon.definitions" -}}
horizon-controller-definitions{{ if .Values.watchNamespace }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "horizon.advertise" -}}
{{ .Values.advertise | default (printf "horizon-controller.%s.svc:7443" .Release.Namespace) }}
{{- end }}

{{- define "horizon.claim" -}}
{{ .Values.persistence.existingClaim | default "horizon-controller" }}
{{- end }}

{{- define "horizon.folders" -}}
{{- range $index, $source := .Values.sources }}{{ if $index }},{{ end }}/etc/horizon/manifests/{{ $source.configMap }}{{ end }}
{{- end }}
