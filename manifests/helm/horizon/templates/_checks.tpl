{{- /* What a schema could say only by a pattern is said in words. */}}
{{- define "horizon.check" -}}
{{- $advertise := include "horizon.advertise" . }}
{{- $port := regexFind "[0-9]+$" $advertise | int }}
{{- if not (and (regexMatch "^([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$" $advertise) (ge $port 1) (le $port 65535)) }}
{{- fail (printf "advertise is %q; write HOST:PORT, such as vpn.example.net:7443 or [2001:db8::1]:7443" $advertise) }}
{{- end }}
{{- if not (regexMatch "^[1-9][0-9]*([KMGTPE]i|[kMGTPE])?$" .Values.persistence.size) }}
{{- fail (printf "persistence.size is %q; write a number of bytes with its unit, such as 1Gi" .Values.persistence.size) }}
{{- end }}
{{- if not (regexMatch "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$" .Values.image.tag) }}
{{- fail (printf "image.tag is %q; write a tag alone, such as %s" .Values.image.tag .Chart.AppVersion) }}
{{- end }}
{{- include "horizon.checkName" (list "watchNamespace" .Values.watchNamespace "a Namespace") }}
{{- include "horizon.checkName" (list "persistence.existingClaim" .Values.persistence.existingClaim "a PersistentVolumeClaim") }}
{{- range $index, $source := .Values.sources }}
{{- include "horizon.checkName" (list (printf "sources[%d].configMap" $index) ($source.configMap | default "?") "a ConfigMap") }}
{{- end }}
{{- range $index, $secret := .Values.image.pullSecrets }}
{{- include "horizon.checkName" (list (printf "image.pullSecrets[%d]" $index) ($secret | default "?") "a Secret") }}
{{- end }}
{{- end }}

{{- /* Takes the path of a value, the value, and what it names; an empty value names nothing. */}}
{{- define "horizon.checkName" -}}
{{- if not (regexMatch "^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$" (index . 1)) }}
{{- fail (printf "%s is %q; write the name of %s: small letters, digits and hyphens" (index . 0) (index . 1) (index . 2)) }}
{{- end }}
{{- end }}
