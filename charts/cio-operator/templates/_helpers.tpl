{{- define "cio.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "cio.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What selects the pods of a part; call with (dict "root" $ "part" "operator"). */}}
{{- define "cio.selectorLabels" -}}
app.kubernetes.io/name: cio-operator
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "cio.labels" -}}
{{ include "cio.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The Pod Security Standard "restricted", pod and container, and a read-only root. */}}
{{- define "cio.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "cio.securityContext" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end }}

{{/* Where pods of a part may run; call with (dict "root" $ "part" "operator"). */}}
{{- define "cio.scheduling" -}}
{{- $values := index .root.Values .part }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
# Spread over nodes where there are several, each revision for itself.
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "cio.selectorLabels" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}

{{/* One of several pods at a time may be evicted; call with (dict "root" $ "part" "operator"). */}}
{{- define "cio.disruptionBudget" -}}
{{- $values := index .root.Values .part }}
{{- if gt (int $values.replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "cio.fullname" .root }}-{{ .part }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "cio.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready protects nothing.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "cio.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* Probes on the port called "http". */}}
{{- define "cio.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 2
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 2
{{- end }}

{{/* "true" when cert-manager makes the adapter's certificate. Values of an older release lack the question (--reuse-values). */}}
{{- define "cio.certManager" -}}
{{- if dig "certificate" "certManager" "enabled" false .Values.metricsApi }}true{{ end }}
{{- end }}

{{/* The groups that the adapter of this chart answers for, with commas; empty where there is none. */}}
{{- define "cio.apis" -}}
{{- $custom := ternary (list "custom") list (eq .Values.metricsApi.mode "adapter") -}}
{{- $external := ternary (list "external") list (dig "external" false .Values.metricsApi) -}}
{{- concat $custom $external | join "," -}}
{{- end }}

{{/* Their APIServices, as JSON: name → group, version, priority. */}}
{{- define "cio.apiServices" -}}
{{- $found := dict -}}
{{- if eq .Values.metricsApi.mode "adapter" -}}
{{- $group := "custom.metrics.k8s.io" -}}
{{- $_ := set $found "v1beta1.custom.metrics.k8s.io" (dict "group" $group "version" "v1beta1" "priority" 100) -}}
{{- $_ := set $found "v1beta2.custom.metrics.k8s.io" (dict "group" $group "version" "v1beta2" "priority" 200) -}}
{{- end -}}
{{- if dig "external" false .Values.metricsApi -}}
{{- $group := "external.metrics.k8s.io" -}}
{{- $_ := set $found "v1beta1.external.metrics.k8s.io" (dict "group" $group "version" "v1beta1" "priority" 100) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
