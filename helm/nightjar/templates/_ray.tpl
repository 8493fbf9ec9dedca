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
{{- with .Values.ray.redis }}
{{- if .address }}
gcsFaultToleranceOptions:
  redisAddress: {{ .address }}
  {{- if .passwordSecret }}
  redisPassword:
    valueFrom:
      secretKeyRef: {name: {{ .passwordSecret }}, key: {{ .passwordKey }}}
  {{- end }}
{{- end }}
{{- end }}
headGroupSpec:
  rayStartParams:
    num-cpus: "0"
    dashboard-host: 0.0.0.0
    object-store-memory: "536870912"
  template:
    {{- include "nightjar.rayPod" (dict "root" . "part" "ray-head" "resources" .Values.ray.head.resources "account" (eq (include "nightjar.rayGrows" .) "true")
      "ports" (dict "gcs-server" 6379 "dashboard" 8265 "client" 10001 "serve" 8000)
      "live" (dict "path" "/api/gcs_healthz" "port" 8265)) | nindent 4 }}
workerGroupSpecs:
  - groupName: cpu
    replicas: {{ .Values.ray.workers.replicas }}
    minReplicas: {{ .Values.ray.workers.replicas }}
    maxReplicas: {{ max .Values.ray.workers.replicas .Values.ray.workers.maxReplicas }}
    rayStartParams:
      object-store-memory: "536870912"
    template:
      {{- include "nightjar.rayPod" (dict "root" . "part" "ray-worker" "resources" .Values.ray.workers.resources
        "nodeSelector" .Values.ray.workers.nodeSelector "tolerations" .Values.ray.workers.tolerations
        "ports" (dict "serve" 8000)
        "live" (dict "path" "/api/local_raylet_healthz" "port" 52365)) | nindent 6 }}
{{- end }}

{{- define "nightjar.rayGrows" -}}
{{- if gt (int .Values.ray.workers.maxReplicas) (int .Values.ray.workers.replicas) }}true{{ else }}false{{ end }}
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
      image: {{ include "nightjar.image" (dict "root" $root "image" $root.Values.inferenceImage) }}
      imagePullPolicy: {{ $root.Values.inferenceImage.pullPolicy }}
      env:
        - {name: RAY_USAGE_STATS_ENABLED, value: "0"}
        - {name: HOME, value: /tmp}
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
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 8Gi}
    - name: shm
      emptyDir: {medium: Memory, sizeLimit: 1Gi}
{{- end }}

{{/* What Serve runs, the same as `nightjar model serve-config` prints for these settings. */}}
{{- define "nightjar.serveConfig" -}}
{{- $cards := .Files.Get "files/models.yaml" | fromYaml }}
{{- $applications := list }}
{{- range $model := .Values.inference.models }}
{{- if not (hasKey $cards $model) }}{{ fail (printf "inference.models: there is no model %s; there are %s" $model (keys $cards | sortAlpha | join ", ")) }}{{ end }}
{{- $arguments := mergeOverwrite (deepCopy (get $cards $model)) (dict "threads" $.Values.ray.threads "engine" $.Values.inference.engine "timeout_s" $.Values.inference.timeoutSeconds) }}
{{- with get $.Values.calibrations $model }}{{ $_ := set $arguments "calibration" . }}{{ end }}
{{- $size := dict "num_replicas" $.Values.ray.replicas }}
{{- if $.Values.ray.maximumReplicas }}
{{- $size = dict "autoscaling_config" (dict "min_replicas" $.Values.ray.replicas "max_replicas" $.Values.ray.maximumReplicas "target_ongoing_requests" 1 "upscale_delay_s" 5) }}
{{- end }}
{{- $deployment := merge (dict "name" $model "max_ongoing_requests" 1 "health_check_period_s" 3 "health_check_timeout_s" 5 "graceful_shutdown_timeout_s" 30 "ray_actor_options" (dict "num_cpus" $.Values.ray.threads)) $size }}
{{- $applications = append $applications (dict "name" $model "route_prefix" nil "import_path" "services.inference.application:build" "args" $arguments "deployments" (list $deployment)) }}
{{- end }}
{{- dict "proxy_location" "EveryNode" "http_options" (dict "host" "0.0.0.0" "port" 8000) "logging_config" (dict "log_level" "WARNING" "enable_access_log" false) "applications" $applications | toYaml }}
{{- end }}
