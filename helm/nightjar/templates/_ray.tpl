{{/* What a model's replicas run in. A change needs other pods, and so another name: see nightjar.rayName. */}}
{{- define "nightjar.rayCluster" -}}
rayVersion: {{ .Values.ray.version }}
enableInTreeAutoscaling: {{ include "nightjar.rayGrows" . }}
{{- if eq (include "nightjar.rayGrows" .) "true" }}
autoscalerOptions:
  idleTimeoutSeconds: 300
  resources: {requests: {cpu: 200m, memory: 512Mi}, limits: {cpu: 500m, memory: 512Mi}}
  securityContext:
    {{- include "nightjar.containerSecurity" . | nindent 4 }}
{{- end }}
authOptions: {mode: token, secretName: {{ .Values.ray.authSecret }}}
{{- with include "nightjar.redisAddress" . }}
gcsFaultToleranceOptions:
  redisAddress: {{ . }}
  {{- with $.Values.ray.redis.passwordSecret }}
  redisPassword:
    valueFrom:
      secretKeyRef: {name: {{ . }}, key: {{ $.Values.ray.redis.passwordKey }}}
  {{- end }}
{{- end }}
headGroupSpec:
  rayStartParams:
    num-cpus: "0"
    dashboard-host: 0.0.0.0
    object-store-memory: "536870912"
  template:
    {{- include "nightjar.rayPod" (dict "root" . "part" "ray-head" "image" .Values.inferenceImage "resources" .Values.ray.head.resources "account" (eq (include "nightjar.rayGrows" .) "true")
      "ports" (dict "gcs-server" 6379 "dashboard" 8265 "client" 10001 "serve" 8000)
      "live" (dict "path" "/api/gcs_healthz" "port" 8265)) | nindent 4 }}
workerGroupSpecs:
  {{- if include "nightjar.onCpus" . }}
  {{- include "nightjar.rayGroup" (dict "root" . "group" "cpu" "part" "ray-worker" "workers" .Values.ray.workers "image" .Values.inferenceImage) | nindent 2 }}
  {{- end }}
  {{- with .Values.ray.gpu }}
  {{- if .enabled }}
  {{- include "nightjar.rayGroup" (dict "root" $ "group" "gpu" "part" "ray-gpu" "workers" .workers "image" .image "runtimeClass" .runtimeClassName "cache" true) | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end }}

{{/* Not empty where a model runs on CPUs. */}}
{{- define "nightjar.onCpus" -}}
{{- if gt (len (include "nightjar.models" . | fromJsonArray)) (len (include "nightjar.gpuModels" . | fromJsonArray)) }}true{{ end }}
{{- end }}

{{- define "nightjar.rayGroup" -}}
- groupName: {{ .group }}
  replicas: {{ .workers.replicas }}
  minReplicas: {{ .workers.replicas }}
  maxReplicas: {{ max .workers.replicas .workers.maxReplicas }}
  rayStartParams:
    object-store-memory: "536870912"
  template:
    {{- include "nightjar.rayPod" (merge (dict "resources" .workers.resources "nodeSelector" .workers.nodeSelector "tolerations" .workers.tolerations
      "ports" (dict "serve" 8000)
      "live" (dict "path" "/api/local_raylet_healthz" "port" 52365)) .) | nindent 4 }}
{{- end }}

{{- define "nightjar.rayGrows" -}}
{{- $gpu := .Values.ray.gpu }}
{{- $cpuGrows := and (include "nightjar.onCpus" .) (gt (int .Values.ray.workers.maxReplicas) (int .Values.ray.workers.replicas)) }}
{{- $gpuGrows := and $gpu.enabled (gt (int $gpu.workers.maxReplicas) (int $gpu.workers.replicas)) }}
{{- if or $cpuGrows $gpuGrows }}true{{ else }}false{{ end }}
{{- end }}

{{/* Other pods, another name: Helm makes the new RayService and deletes the old one, whose pods leave their nodes to
   the new ones, so an upgrade needs no second set of machines. Analyses wait in the ledger meanwhile. */}}
{{- define "nightjar.rayName" -}}
{{- $pods := regexReplaceAll "(r|minR|maxR)eplicas: [0-9]+" (include "nightjar.rayCluster" .) "" }}
{{- include "nightjar.name" . }}-ray-{{ $pods | sha256sum | trunc 8 }}
{{- end }}

{{- define "nightjar.rayEnvironment" -}}
- {name: RAY_AUTH_MODE, value: token}
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .Values.ray.authSecret }}, key: auth_token}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
- {name: HOME, value: /tmp}
{{- end }}

{{- define "nightjar.serveToken" -}}
- name: NIGHTJAR_INFERENCE__SERVE_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .Values.inference.http.tokenSecret }}, key: token}
{{- end }}

{{- define "nightjar.rayPod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "nightjar.selector" . | nindent 4 }}
    nightjar/ray: "yes"
spec:
  automountServiceAccountToken: {{ .account | default false }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: 60
  {{- with .runtimeClass }}
  runtimeClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- include "nightjar.podSecurity" . | nindent 4 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .nodeSelector | default $root.Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tolerations | default $root.Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- include "nightjar.spread" . | nindent 4 }}
  containers:
    - name: {{ .part }}
      image: {{ include "nightjar.image" . }}
      imagePullPolicy: {{ .image.pullPolicy }}
      env:
        - {name: RAY_USAGE_STATS_ENABLED, value: "0"}
        - {name: HOME, value: /tmp}
        {{- if $root.Values.inference.http.enabled }}
        {{- include "nightjar.serveToken" $root | nindent 8 }}
        {{- end }}
      ports:
        {{- range $name, $number := .ports }}
        - {name: {{ $name }}, containerPort: {{ $number }}}
        {{- end }}
      livenessProbe:
        httpGet: {path: {{ .live.path }}, port: {{ .live.port }}}
        initialDelaySeconds: 30
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 12
      readinessProbe:
        httpGet: {path: {{ .live.path }}, port: {{ .live.port }}}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      resources: {{ toYaml .resources | nindent 8 }}
      securityContext:
        {{- include "nightjar.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: shm, mountPath: /dev/shm}
        {{- if .cache }}
        - {name: engines, mountPath: /var/cache/nightjar}
        {{- end }}
        {{- if $root.Values.ownModels.enabled }}
        - {name: models, mountPath: /var/lib/nightjar-models, readOnly: true}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 8Gi}
    {{- if .cache }}
    - name: engines
      persistentVolumeClaim: {claimName: {{ include "nightjar.cacheClaim" $root }}}
    {{- end }}
    {{- if $root.Values.ownModels.enabled }}
    - name: models
      persistentVolumeClaim: {claimName: {{ include "nightjar.modelsClaim" $root }}}
    {{- end }}
    - name: shm
      emptyDir: {medium: Memory, sizeLimit: 1Gi}
{{- end }}

{{/* What Serve runs, the same as `nightjar model serve-config` prints for these settings. */}}
{{- define "nightjar.serveConfig" -}}
{{- $cards := include "nightjar.cards" . | fromJson }}
{{- $applications := list }}
{{- $names := list }}
{{- $size := dict "num_replicas" .Values.ray.replicas }}
{{- if .Values.ray.maximumReplicas }}
{{- $size = dict "autoscaling_config" (dict "min_replicas" .Values.ray.replicas "max_replicas" .Values.ray.maximumReplicas "target_ongoing_requests" 1 "upscale_delay_s" 5) }}
{{- end }}
{{- range $model := include "nightjar.models" . | fromJsonArray }}
{{- $calibration := dict }}
{{- with get $.Values.calibrations $model }}{{ $_ := set $calibration "calibration" . }}{{ end }}
{{- $names = append $names $model }}
{{- $applications = append $applications (include "nightjar.application" (dict "root" $ "name" $model "model" $model "arguments" (merge $calibration (get $cards $model)) "size" $size) | fromJson) }}
{{- end }}
{{- range $model, $shadow := include "nightjar.shadows" . | fromJson }}
{{- $name := printf "%s-shadow" $model }}
{{- $names = append $names $name }}
{{- $applications = append $applications (include "nightjar.application" (dict "root" $ "name" $name "model" $model "arguments" (merge (dict "model" $model "application" $name) $shadow) "size" (dict "num_replicas" 1)) | fromJson) }}
{{- end }}
{{- if .Values.inference.http.enabled }}
{{- $gate := dict "name" "nightjar-gate" "num_replicas" 1 "max_ongoing_requests" 32 "ray_actor_options" (dict "num_cpus" 0) }}
{{- $applications = append $applications (dict "name" "nightjar-gate" "route_prefix" "/nightjar" "import_path" "services.inference.gate:build" "args" (dict "applications" $names) "deployments" (list $gate)) }}
{{- end }}
{{- dict "proxy_location" "EveryNode" "http_options" (dict "host" "0.0.0.0" "port" 8000) "logging_config" (dict "log_level" "WARNING" "enable_access_log" false) "applications" $applications | toYaml }}
{{- end }}

{{/* The shadows of models that are served, as JSON. */}}
{{- define "nightjar.shadows" -}}
{{- $served := include "nightjar.models" . | fromJsonArray }}
{{- range $model, $shadow := .Values.ownModels.shadows }}
{{- if not (has $model $served) }}{{ fail (printf "ownModels.shadows: %s is not among the models that are served: %s" $model (join ", " $served)) }}{{ end }}
{{- end }}
{{- ternary .Values.ownModels.shadows dict .Values.ownModels.enabled | toJson }}
{{- end }}

{{/* One application as JSON: (dict "root" . "name" "ich" "model" "ich" "arguments" (dict ...) "size" (dict ...)). */}}
{{- define "nightjar.application" -}}
{{- $values := .root.Values }}
{{- $gpuModels := include "nightjar.gpuModels" .root | fromJsonArray }}
{{- $onGpu := has .model $gpuModels }}
{{- $arguments := mergeOverwrite (deepCopy .arguments) (dict "threads" $values.ray.threads "engine" (ternary $values.ray.gpu.engine $values.inference.engine $onGpu) "timeout_s" $values.inference.timeoutSeconds) }}
{{- if $gpuModels }}{{ $_ := set $arguments "engine_cache" "/var/cache/nightjar" }}{{ end }}
{{- if $values.ownModels.enabled }}{{ $_ := set $arguments "models_dir" "/var/lib/nightjar-models" }}{{ end }}
{{- $actor := dict "num_cpus" $values.ray.threads }}
{{- if $onGpu }}{{ $_ := set $actor "num_gpus" (include "nightjar.gpuShare" .root | float64) }}{{ end }}
{{- $deployment := merge (dict "name" .name "max_ongoing_requests" 2 "health_check_period_s" 1.5 "health_check_timeout_s" 2.5 "graceful_shutdown_timeout_s" $values.inference.timeoutSeconds "ray_actor_options" $actor) .size }}
{{- dict "name" .name "route_prefix" nil "import_path" "services.inference.application:build" "args" $arguments "deployments" (list $deployment) | toJson }}
{{- end }}
