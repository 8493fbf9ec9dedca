{{- define "nightjar.name" -}}
{{- if eq .Release.Name "nightjar" }}nightjar{{ else }}{{ printf "%s-nightjar" .Release.Name | trunc 24 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels that select, of a release or, with (dict "root" . "part" "router"), of one part. Not the usual ones:
   KubeRay's Services look for values of its own under those on the pods it makes. */}}
{{- define "nightjar.selector" -}}
nightjar/release: {{ .root.Release.Name }}
{{- with .part }}
nightjar/part: {{ . }}
{{- end }}
{{- end }}

{{- define "nightjar.labels" -}}
{{ include "nightjar.selector" . }}
app.kubernetes.io/name: nightjar
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .part }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "nightjar.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "nightjar.claim" -}}
{{ .Values.storage.existingClaim | default (printf "%s-store" (include "nightjar.name" .)) }}
{{- end }}

{{- define "nightjar.modelsClaim" -}}
{{ .Values.ownModels.existingClaim | default (printf "%s-models" (include "nightjar.name" .)) }}
{{- end }}

{{/* Name, version and weights of every model by its name, as JSON: those that ship, and a site's own. */}}
{{- define "nightjar.cards" -}}
{{- $cards := .Files.Get "files/models.yaml" | fromYaml }}
{{- if .Values.ownModels.enabled }}
{{- range $model, $own := .Values.ownModels.served }}{{ $_ := set $cards $model (merge (dict "model" $model) $own) }}{{ end }}
{{- end }}
{{- $cards | toJson }}
{{- end }}

{{/* The models to serve, as JSON: those named, or every one that there is. */}}
{{- define "nightjar.models" -}}
{{- $cards := include "nightjar.cards" . | fromJson }}
{{- range .Values.inference.models }}
{{- if not (hasKey $cards .) }}{{ fail (printf "inference.models: there is no model %s; there are %s" . (keys $cards | sortAlpha | join ", ")) }}{{ end }}
{{- end }}
{{- .Values.inference.models | default (keys $cards | sortAlpha) | toJson }}
{{- end }}

{{/* Those of them that run on GPUs, as JSON. */}}
{{- define "nightjar.gpuModels" -}}
{{- $served := include "nightjar.models" . | fromJsonArray }}
{{- range .Values.ray.gpu.models }}
{{- if not (has . $served) }}{{ fail (printf "ray.gpu.models: %s is not among the models that are served: %s" . (join ", " $served)) }}{{ end }}
{{- end }}
{{- if .Values.ray.gpu.enabled }}{{ .Values.ray.gpu.models | default $served | toJson }}{{ else }}[]{{ end }}
{{- end }}

{{- define "nightjar.gpuShare" -}}
{{- .Values.ray.gpu.share | default (divf (div 1000 (max 1 (len (include "nightjar.gpuModels" . | fromJsonArray)))) 1000) }}
{{- end }}

{{- define "nightjar.cacheClaim" -}}
{{ .Values.ray.gpu.cache.existingClaim | default (printf "%s-engines" (include "nightjar.name" .)) }}
{{- end }}

{{/* Port of the gate of another release, from its address. */}}
{{- define "nightjar.gatePort" -}}
{{- $address := urlParse .Values.inference.http.url }}
{{- regexFind ":[0-9]+$" $address.host | trimPrefix ":" | default (ternary "443" "80" (eq $address.scheme "https")) }}
{{- end }}

{{- define "nightjar.redisAddress" -}}
{{- if .Values.ray.redis.enabled }}{{ include "nightjar.name" . }}-redis:6379{{ else }}{{ .Values.ray.redis.address }}{{ end }}
{{- end }}

{{- define "nightjar.databaseSecret" -}}
{{- if .Values.database.cloudnativepg.enabled -}}
name: {{ include "nightjar.name" . }}-postgres-app
key: uri
{{- else -}}
name: {{ .Values.database.existingSecret }}
key: {{ .Values.database.key }}
{{- end -}}
{{- end }}

{{- define "nightjar.databaseEnvironment" -}}
- name: NIGHTJAR_DATABASE__URL
  valueFrom:
    secretKeyRef:
      {{- include "nightjar.databaseSecret" . | nindent 6 }}
{{- end }}

{{/* An access key from a Secret: (dict "section" "STORAGE" "secret" "nightjar-s3"). */}}
{{- define "nightjar.accessKey" -}}
- name: NIGHTJAR_{{ .section }}__S3__ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: access_key}
- name: NIGHTJAR_{{ .section }}__S3__SECRET
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: secret}
{{- end }}

{{/* That of the bucket of bytes, where one is named; a job's and a part's alike. */}}
{{- define "nightjar.storeEnvironment" -}}
{{- with .Values.storage.s3 }}
{{- if and .enabled .credentialsSecret }}
{{- include "nightjar.accessKey" (dict "section" "STORAGE" "secret" .credentialsSecret) }}
{{- end }}
{{- end }}
{{- end }}

{{/* How an object store is reached, as settings: (dict "s3" values "folder" where its authority is mounted). */}}
{{- define "nightjar.s3" -}}
{{- $s3 := dict "region" .s3.region "path_style" .s3.pathStyle "timeout_s" .s3.timeoutSeconds }}
{{- with .s3.endpoint }}{{ $_ := set $s3 "endpoint" . }}{{ end }}
{{- if .s3.authoritySecret }}{{ $_ := set $s3 "authorities" (printf "%s/ca.crt" .folder) }}{{ end }}
{{- $s3 | toJson }}
{{- end }}

{{/* Where a pod keeps bytes: the volume, or with a bucket a directory of its own that nothing must survive in. */}}
{{- define "nightjar.storeVolumes" -}}
- name: store
  {{- if .Values.storage.s3.enabled }}
  emptyDir: {sizeLimit: 1Gi}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ include "nightjar.claim" . }}}
  {{- end }}
{{- if and .Values.storage.s3.enabled .Values.storage.s3.authoritySecret }}
- name: store-authority
  secret: {secretName: {{ .Values.storage.s3.authoritySecret }}}
{{- end }}
{{- end }}

{{- define "nightjar.storeMounts" -}}
- {name: store, mountPath: /var/lib/nightjar}
{{- if and .Values.storage.s3.enabled .Values.storage.s3.authoritySecret }}
- {name: store-authority, mountPath: /etc/nightjar-store, readOnly: true}
{{- end }}
{{- end }}

{{- define "nightjar.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "nightjar.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "nightjar.spread" -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "nightjar.selector" $ | nindent 6 }}
{{- end }}
{{- end }}

{{/* The settings file that every part reads: what the chart decides over what the site wrote. */}}
{{- define "nightjar.settings" -}}
{{- $inference := dict "models" (include "nightjar.models" . | fromJsonArray) "engine" .Values.inference.engine "timeout_s" .Values.inference.timeoutSeconds "threads" .Values.ray.threads "replicas" .Values.ray.replicas }}
{{- if .Values.inference.http.enabled }}
{{- $_ := set $inference "serve_url" (.Values.inference.http.url | default (printf "http://%s-gate:8000/nightjar" (include "nightjar.name" .))) }}
{{- if .Values.inference.http.authoritySecret }}{{ $_ := set $inference "serve_authorities" "/etc/nightjar-gate/ca.crt" }}{{ end }}
{{- else }}
{{- $_ := set $inference "ray_address" (printf "%s-head-svc:6379" (include "nightjar.rayName" .)) }}
{{- end }}
{{- if .Values.ownModels.enabled }}{{ $_ := set $inference "models_dir" "/var/lib/nightjar-models" }}{{ end }}
{{- with .Values.ray.maximumReplicas }}{{ $_ := set $inference "maximum_replicas" . }}{{ end }}
{{- $gpuModels := include "nightjar.gpuModels" . | fromJsonArray }}
{{- if $gpuModels }}
{{- $shares := dict }}
{{- range $gpuModels }}{{ $_ := set $shares . (include "nightjar.gpuShare" $ | float64) }}{{ end }}
{{- $_ := merge $inference (dict "gpus" $shares "gpu_engine" .Values.ray.gpu.engine "engine_cache" "/var/cache/nightjar") }}
{{- end }}
{{- with .Values.calibrations }}
{{- $files := list }}
{{- range $model := keys . | sortAlpha }}{{ $files = append $files (printf "/etc/nightjar/%s.calibration.yaml" $model) }}{{ end }}
{{- $_ := set $inference "calibrations" $files }}
{{- end }}
{{- $router := dict "host" "0.0.0.0" "port" 11112 "drain_s" .Values.router.drainSeconds }}
{{- if .Values.rules }}{{ $_ := set $router "rules" "/etc/nightjar/rules.yaml" }}{{ end }}
{{- with .Values.router.tls }}
{{- if .enabled }}
{{- $tls := dict "port" 12762 "certificate" "/etc/nightjar-tls/tls.crt" "key" "/etc/nightjar-tls/tls.key" "only" .only }}
{{- if .clientAuthority }}{{ $_ := set $tls "client_authorities" "/etc/nightjar-clients/ca.crt" }}{{ end }}
{{- $_ := set $router "tls" $tls }}
{{- end }}
{{- end }}
{{- $web := dict "host" "0.0.0.0" "port" 8080 "secure_cookies" .Values.web.ingress.enabled }}
{{- $storage := dict }}
{{- with .Values.storage.s3 }}
{{- if .enabled }}
{{- if not .bucket }}{{ fail "storage.s3.bucket: name the bucket" }}{{ end }}
{{- $s3 := include "nightjar.s3" (dict "s3" . "folder" "/etc/nightjar-store") | fromJson }}
{{- $_ := set $storage "storage" (dict "s3" (merge (dict "bucket" .bucket "prefix" .prefix) $s3)) }}
{{- $_ := set $web "session_key_file" "/etc/nightjar-session/key" }}
{{- end }}
{{- end }}
{{- if .Values.backup.to }}
{{- $_ := set $storage "backup" (dict "s3" (include "nightjar.s3" (dict "s3" .Values.backup.s3 "folder" "/etc/nightjar-backup") | fromJson)) }}
{{- end }}
{{- $own := merge $storage (dict "data_dir" "/var/lib/nightjar" "router" $router "inference" $inference
  "web" $web
  "metrics" (dict "host" "0.0.0.0" "port" 9100)) }}
{{- range $section, $values := $own }}
{{- if and (kindIs "map" $values) (hasKey $.Values.settings $section) }}
{{- range $key := keys $values }}
{{- if hasKey (index $.Values.settings $section) $key }}{{ fail (printf "settings.%s.%s is written by the chart; see values.yaml for its own value" $section $key) }}{{ end }}
{{- end }}
{{- else if hasKey $.Values.settings $section }}{{ fail (printf "settings.%s is written by the chart" $section) }}
{{- end }}
{{- end }}
{{- with .Values.retention.imagesDays }}{{ $_ := set $own "retention" (dict "images_days" .) }}{{ end }}
{{- $settings := mergeOverwrite (dict "logging" (dict "format" "json")) (deepCopy .Values.settings) $own }}
{{- if .Values.orthanc.enabled }}
{{- $orthanc := dict "name" "orthanc" "kind" "dicom" "ae_title" "ORTHANC" "host" (printf "%s-orthanc" (include "nightjar.name" .)) "port" 4242 "results" .Values.orthanc.results }}
{{- $_ := set $settings "destinations" (append (.Values.settings.destinations | default list) $orthanc) }}
{{- end }}
{{- $settings | toYaml }}
{{- end }}

{{- define "nightjar.configuration" -}}
nightjar.yaml: |
  {{- include "nightjar.settings" . | nindent 2 }}
{{- with .Values.rules }}
rules.yaml: |
  {{- . | nindent 2 }}
{{- end }}
{{- range $model, $content := .Values.calibrations }}
{{ $model }}.calibration.yaml: |
  {{- toYaml $content | nindent 2 }}
{{- end }}
{{- end }}

{{/* A Deployment of one part: (dict "root" . "part" "router" "values" .Values.router "image" .Values.image ...). */}}
{{- define "nightjar.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "nightjar.name" $root }}-{{ .part }}
  labels:
    {{- include "nightjar.labels" . | nindent 4 }}
spec:
  {{- if not (dig "autoscaling" "enabled" false .values) }}
  replicas: {{ .values.replicas | default 1 }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "nightjar.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "nightjar.labels" . | nindent 8 }}
        nightjar/metrics: "yes"
        {{- if .ray }}
        nightjar/ray: "yes"
        {{- end }}
      annotations:
        checksum/configuration: {{ include "nightjar.configuration" $root | sha256sum }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .graceSeconds | default 30 }}
      securityContext:
        {{- include "nightjar.podSecurity" . | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{ toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.nodeSelector }}
      nodeSelector: {{ toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.tolerations }}
      tolerations: {{ toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- include "nightjar.spread" . | nindent 8 }}
      containers:
        - name: {{ .part }}
          image: {{ include "nightjar.image" . }}
          imagePullPolicy: {{ .image.pullPolicy }}
          args: [{{ .part }}, --config, /etc/nightjar/nightjar.yaml]
          env:
            {{- include "nightjar.databaseEnvironment" $root | nindent 12 }}
            {{- with include "nightjar.storeEnvironment" $root }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with .environment }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- if $root.Values.authoritySecret }}
            - {name: SSL_CERT_FILE, value: /etc/nightjar-authority/ca.crt}
            {{- end }}
          {{- with $root.Values.existingSecret }}
          envFrom:
            - secretRef: {name: {{ . }}}
          {{- end }}
          ports:
            - {name: metrics, containerPort: 9100}
            {{- range .ports }}
            - {name: {{ .name }}, containerPort: {{ .number }}}
            {{- end }}
          startupProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: {{ .readyPath | default "/readyz" }}, port: {{ .readyPort | default "metrics" }}}
            periodSeconds: 5
            timeoutSeconds: 5
          {{- with .preStopSeconds }}
          lifecycle:
            preStop: {sleep: {seconds: {{ . }}}}
          {{- end }}
          resources: {{ toYaml .values.resources | nindent 12 }}
          securityContext:
            {{- include "nightjar.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: configuration, mountPath: /etc/nightjar, readOnly: true}
            {{- include "nightjar.storeMounts" $root | nindent 12 }}
            - {name: tmp, mountPath: /tmp}
            {{- range .claims }}
            - {name: {{ .name }}, mountPath: {{ .path }}, readOnly: true}
            {{- end }}
            {{- if $root.Values.ownModels.enabled }}
            - {name: models, mountPath: /var/lib/nightjar-models, readOnly: {{ ne .part "inference" }}}
            {{- end }}
            {{- range .secrets }}
            - {name: {{ .name }}, mountPath: {{ .path }}, readOnly: true}
            {{- end }}
            {{- if $root.Values.authoritySecret }}
            - {name: authority, mountPath: /etc/nightjar-authority, readOnly: true}
            {{- end }}
            {{- if .ray }}
            - {name: shm, mountPath: /dev/shm}
            {{- end }}
      volumes:
        - name: configuration
          configMap: {name: {{ include "nightjar.name" $root }}}
        {{- include "nightjar.storeVolumes" $root | nindent 8 }}
        - name: tmp
          emptyDir: {sizeLimit: 2Gi}
        {{- range .claims }}
        - name: {{ .name }}
          persistentVolumeClaim: {claimName: {{ .claim }}, readOnly: true}
        {{- end }}
        {{- if $root.Values.ownModels.enabled }}
        - name: models
          persistentVolumeClaim: {claimName: {{ include "nightjar.modelsClaim" $root }}}
        {{- end }}
        {{- range .secrets }}
        - name: {{ .name }}
          secret: {secretName: {{ .secret }}}
        {{- end }}
        {{- if $root.Values.authoritySecret }}
        - name: authority
          secret: {secretName: {{ $root.Values.authoritySecret }}}
        {{- end }}
        {{- if .ray }}
        - name: shm
          emptyDir: {medium: Memory, sizeLimit: 1Gi}
        {{- end }}
{{- end }}

{{/* A PodDisruptionBudget: one pod of a part at a time. */}}
{{- define "nightjar.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "nightjar.name" .root }}-{{ .part }}
  labels:
    {{- include "nightjar.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "nightjar.selector" . | nindent 6 }}
{{- end }}

{{/* A CronJob of one command: (dict "root" . "part" "reconcile" "schedule" "20 * * * *" "arguments" (list ...)). */}}
{{- define "nightjar.cronJob" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "nightjar.name" .root }}-{{ .part }}
  labels:
    {{- include "nightjar.labels" . | nindent 4 }}
spec:
  schedule: {{ .schedule | quote }}
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: {{ .deadlineSeconds | default 3000 }}
      template:
        metadata:
          labels:
            {{- include "nightjar.labels" . | nindent 12 }}
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          enableServiceLinks: false
          securityContext:
            {{- include "nightjar.podSecurity" .root | nindent 12 }}
          {{- with .root.Values.imagePullSecrets }}
          imagePullSecrets: {{ toYaml . | nindent 12 }}
          {{- end }}
          containers:
            - name: {{ .part }}
              {{- $image := .image | default .root.Values.image }}
              image: {{ include "nightjar.image" (dict "root" .root "image" $image) }}
              imagePullPolicy: {{ $image.pullPolicy }}
              args: {{ concat .arguments (list "--config" "/etc/nightjar/nightjar.yaml") | toJson }}
              env:
                {{- include "nightjar.databaseEnvironment" .root | nindent 16 }}
                {{- with include "nightjar.storeEnvironment" .root }}
                {{- . | nindent 16 }}
                {{- end }}
                {{- with .environment }}
                {{- . | nindent 16 }}
                {{- end }}
              {{- $resources := .resources | default (dict "requests" (dict "cpu" "100m" "memory" "256Mi") "limits" (dict "memory" "512Mi")) }}
              resources: {{ toYaml $resources | nindent 16 }}
              securityContext:
                {{- include "nightjar.containerSecurity" .root | nindent 16 }}
              volumeMounts:
                - {name: configuration, mountPath: /etc/nightjar, readOnly: true}
                {{- include "nightjar.storeMounts" .root | nindent 16 }}
                - {name: tmp, mountPath: /tmp}
                {{- range .secrets }}
                - {name: {{ .name }}, mountPath: {{ .path }}, readOnly: true}
                {{- end }}
          volumes:
            - name: configuration
              configMap: {name: {{ include "nightjar.name" .root }}}
            {{- include "nightjar.storeVolumes" .root | nindent 12 }}
            {{- range .secrets }}
            - name: {{ .name }}
              secret: {secretName: {{ .secret }}}
            {{- end }}
            - name: tmp
              emptyDir: {}
{{- end }}
