{{- define "ashlar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, with the chart's unless that is part of it already. Short enough for what is put behind it. */}}
{{- define "ashlar.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 32 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 32 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ashlar.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* That of the metadata services, which an upgrade may change first. */}}
{{- define "ashlar.metadataImage" -}}
{{- with .Values.metadata.imageTag -}}
{{ $.Values.image.repository }}:{{ . }}
{{- else -}}
{{ include "ashlar.image" . }}
{{- end }}
{{- end }}

{{/* What pods are chosen by; never changes. Called with (list $ COMPONENT). */}}
{{- define "ashlar.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "ashlar.name" $ }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "ashlar.labels" -}}
{{- $ := index . 0 -}}
{{ include "ashlar.selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ $.Chart.Name }}-{{ $.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "ashlar.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "ashlar.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "ashlar.secretName" -}}
{{- default (printf "%s-secrets" (include "ashlar.fullname" .)) .Values.secrets.existingSecret }}
{{- end }}

{{- define "ashlar.tlsSecretName" -}}
{{- default (printf "%s-tls" (include "ashlar.fullname" .)) .Values.tls.existingSecret }}
{{- end }}

{{/* The metadata services' address, once for each connection that a client is to make. */}}
{{- define "ashlar.metadataAddresses" -}}
{{- $address := printf "%s-metadata:9300" (include "ashlar.fullname" .) -}}
{{- $addresses := list -}}
{{- range until (int .Values.metadata.connections) }}{{ $addresses = append $addresses $address }}{{ end -}}
{{- join "," $addresses }}
{{- end }}

{{/* Name and key of the Secret with the database's URL. */}}
{{- define "ashlar.databaseSecret" -}}
{{- $full := include "ashlar.fullname" . -}}
{{- if eq .Values.postgres.mode "external" -}}
name: {{ required "postgres.external.existingSecret: name the Secret that has the database's URL, or choose another postgres.mode" .Values.postgres.external.existingSecret }}
key: {{ .Values.postgres.external.key }}
{{- else if eq .Values.postgres.mode "cloudnativepg" -}}
name: {{ $full }}-postgres-app
key: uri
{{- else -}}
name: {{ $full }}-postgres
key: url
{{- end }}
{{- end }}

{{/* One variable from the Secret of the release. Called with (list $ VARIABLE KEY). */}}
{{- define "ashlar.secretVariable" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef: { name: {{ include "ashlar.secretName" (index . 0) }}, key: {{ index . 2 }} }
{{- end }}

{{/* Variables of every service, and a role's own settings. Called with (list $ SETTINGS). */}}
{{- define "ashlar.commonVariables" -}}
{{- $ := index . 0 -}}
- { name: ASHLAR_LOG, value: {{ $.Values.log.filter | quote }} }
- { name: ASHLAR_LOG_FORMAT, value: {{ $.Values.log.format | quote }} }
{{- range $name, $value := index . 1 }}
- { name: {{ $name }}, value: {{ ternary ($value | toString) (printf "%.0f" $value) (not (kindIs "float64" $value)) | quote }} }
{{- end }}
{{ include "ashlar.secretVariable" (list $ "ASHLAR_CLUSTER_SECRET" "cluster-secret") }}
{{- end }}

{{- define "ashlar.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Of every pod: who it runs as, and what of the cluster it sees. */}}
{{- define "ashlar.podSecurity" -}}
{{- $ := index . 0 -}}
{{- $user := index . 1 -}}
automountServiceAccountToken: false
# Otherwise each Service would put variables such as ASHLAR_METADATA_PORT into every container.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
serviceAccountName: {{ include "ashlar.serviceAccountName" $ }}
{{- with $.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where pods may run. Called with the role's values. */}}
{{- define "ashlar.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Spreads pods of a component over zones and machines. Called with (list $ COMPONENT WHAT-IF-NOT). */}}
{{- define "ashlar.spread" -}}
{{- $selector := include "ashlar.selector" (list (index . 0) (index . 1)) -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: {{ index . 2 }}
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
{{- end }}

{{/* Probes of a service. Called with (dict "port" NAME "scheme" SCHEME "startup" SECONDS). */}}
{{- define "ashlar.probes" -}}
{{- $port := .port -}}
{{- $scheme := .scheme -}}
startupProbe:
  httpGet: { path: /health/live, port: {{ $port }}, scheme: {{ $scheme }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (add .startup 4) 5 }}
livenessProbe:
  httpGet: { path: /health/live, port: {{ $port }}, scheme: {{ $scheme }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /health/ready, port: {{ $port }}, scheme: {{ $scheme }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* The pods of this component, as a peer of a NetworkPolicy: the context and the component. */}}
{{- define "ashlar.operatorsOf" -}}
- podSelector:
    matchLabels:
      {{- include "ashlar.selector" (list (index . 0) (index . 1)) | nindent 6 }}
{{- end }}

{{/* Parity of the coding `k+m`. */}}
{{- define "ashlar.parity" -}}
{{- splitList "+" .Values.standardCoding | last }}
{{- end }}

{{/* The key management service, for those that encrypt: its variables, its mount and its volume, one by one. */}}
{{- define "ashlar.kmsVariables" -}}
{{- with .Values.kms -}}
{{- if .endpoint -}}
- { name: ASHLAR_KMS_ENDPOINT, value: {{ .endpoint | quote }} }
- { name: ASHLAR_KMS_TOKEN_FILE, value: /etc/ashlar/kms/token }
{{- if .caKey }}
- { name: ASHLAR_KMS_CA, value: /etc/ashlar/kms/ca.crt }
{{- end }}
- { name: ASHLAR_KMS_MOUNT, value: {{ .mount | quote }} }
- { name: ASHLAR_KMS_DEFAULT_KEY, value: {{ .defaultKey | quote }} }
- { name: ASHLAR_KMS_CACHE, value: {{ .cacheSeconds | quote }} }
{{- end }}
{{- end }}
{{- end }}

{{- define "ashlar.kmsMount" -}}
{{- if .Values.kms.endpoint -}}
- { name: kms, mountPath: /etc/ashlar/kms, readOnly: true }
{{- end }}
{{- end }}

{{- define "ashlar.kmsVolume" -}}
{{- with .Values.kms -}}
{{- if .endpoint -}}
- name: kms
  secret:
    secretName: {{ required "kms.existingSecret: the Secret with the token of kms.endpoint" .existingSecret }}
    defaultMode: 0440
    items:
      - { key: {{ .tokenKey }}, path: token }
      {{- if .caKey }}
      - { key: {{ .caKey }}, path: ca.crt }
      {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The OpenID Connect providers of a private net, for gateways: their variables, their mount and their volume, one by one. */}}
{{- define "ashlar.oidcVariables" -}}
{{- with .Values.oidc -}}
{{- if .privateHosts -}}
- { name: ASHLAR_OIDC_PRIVATE_HOSTS, value: {{ join "," .privateHosts | quote }} }
{{- if .caConfigMap }}
- { name: ASHLAR_OIDC_CA, value: /etc/ashlar/oidc/ca.crt }
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ashlar.oidcMount" -}}
{{- if and .Values.oidc.privateHosts .Values.oidc.caConfigMap -}}
- { name: oidc, mountPath: /etc/ashlar/oidc, readOnly: true }
{{- end }}
{{- end }}

{{- define "ashlar.oidcVolume" -}}
{{- with .Values.oidc -}}
{{- if and .privateHosts .caConfigMap -}}
- name: oidc
  configMap:
    name: {{ .caConfigMap }}
    items:
      - { key: {{ .caKey }}, path: ca.crt }
{{- end }}
{{- end }}
{{- end }}

{{/* The file of master keys, for those that encrypt: its variable, its mount and its volume, one by one. */}}
{{- define "ashlar.encryptionVariable" -}}
{{- if .Values.encryption.existingSecret -}}
- { name: ASHLAR_ENCRYPTION_KEYS, value: /etc/ashlar/encryption/encryption.keys }
{{- end }}
{{- end }}

{{- define "ashlar.encryptionMount" -}}
{{- if .Values.encryption.existingSecret -}}
- { name: encryption, mountPath: /etc/ashlar/encryption, readOnly: true }
{{- end }}
{{- end }}

{{- define "ashlar.encryptionVolume" -}}
{{- with .Values.encryption -}}
{{- if .existingSecret -}}
- name: encryption
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - { key: {{ .key }}, path: encryption.keys }
{{- end }}
{{- end }}
{{- end }}

{{/* TLS between services: the variables, the mount and the volume of a component, one by one. */}}
{{- define "ashlar.clusterTlsVariables" -}}
{{- if .Values.clusterTls.enabled -}}
- { name: ASHLAR_CLUSTER_TLS_CERT, value: /etc/ashlar/cluster/tls.crt }
- { name: ASHLAR_CLUSTER_TLS_KEY, value: /etc/ashlar/cluster/tls.key }
- { name: ASHLAR_CLUSTER_TLS_CA, value: /etc/ashlar/cluster/ca.crt }
{{- end }}
{{- end }}

{{- define "ashlar.clusterTlsMount" -}}
{{- if .Values.clusterTls.enabled -}}
- { name: cluster, mountPath: /etc/ashlar/cluster, readOnly: true }
{{- end }}
{{- end }}

{{- define "ashlar.clusterTlsVolume" -}}
{{- $context := index . 0 -}}
{{- if $context.Values.clusterTls.enabled -}}
- name: cluster
  secret: { secretName: {{ include "ashlar.clusterTlsSecret" . }}, defaultMode: 0440 }
{{- end }}
{{- end }}

{{/* The Secret with the certificate of a component, or of monitors. */}}
{{- define "ashlar.clusterTlsSecret" -}}
{{- $context := index . 0 -}}
{{- $prefix := $context.Values.clusterTls.secretPrefix | default (printf "%s-cluster" (include "ashlar.fullname" $context)) -}}
{{- printf "%s-%s" $prefix (index . 1) -}}
{{- end }}

{{/* What health checks are asked by. */}}
{{- define "ashlar.healthScheme" -}}
{{- ternary "HTTPS" "HTTP" .Values.clusterTls.enabled -}}
{{- end }}
