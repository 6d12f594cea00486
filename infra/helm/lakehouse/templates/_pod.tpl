{{- define "lakehouse.pod" -}}
serviceAccountName: {{ .Values.serviceAccount.name }}
securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
volumes:
  - {name: tmp, emptyDir: {}}
  - {name: home, emptyDir: {}}
{{- end }}

{{- define "lakehouse.container" -}}
securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: home, mountPath: /home/lakehouse}
envFrom:
  - secretRef: {name: {{ .Values.secret | quote }}}
env:
  - {name: LAKEHOUSE_ROOT, value: {{ required "lake.root is not set: give the lake's address" .Values.lake.root | quote }}}
  {{- range $name, $value := .Values.environment }}
  - {name: {{ $name | quote }}, value: {{ $value | quote }}}
  {{- end }}
{{- end }}

{{- define "lakehouse.image" -}}
{{ required "image.registry is not set: name where the image was pushed" .root.Values.image.registry }}-{{ .target }}:{{ required "image.tag is not set: name the commit that was built" .root.Values.image.tag }}
{{- end }}
