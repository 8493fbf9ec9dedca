"""The APIs of KubeRay and CloudNativePG as far as the chart uses them, for a registry holds neither's schema.

A field that is not here is refused, so whoever adds one to the chart looks it up first: KubeRay 1.7, `ray.io/v1`
(RayServiceSpec, RayClusterSpec); CloudNativePG 1.27, `postgresql.cnpg.io/v1` (ClusterSpec). The pods inside a
RayService are held against Kubernetes' own schema.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SecretKey(Strict):
    name: str
    key: str


class ValueFrom(Strict):
    secretKeyRef: SecretKey


class Password(Strict):
    valueFrom: ValueFrom


class RedisOptions(Strict):
    redisAddress: str
    redisPassword: Password | None = None


class AuthOptions(Strict):
    mode: Literal["disabled", "token"]
    secretName: str


class AutoscalerOptions(Strict):
    idleTimeoutSeconds: int
    resources: dict[str, dict[str, str]]
    securityContext: dict[str, Any]


class PodTemplate(Strict):
    metadata: dict[str, Any]
    spec: dict[str, Any]


class HeadGroup(Strict):
    rayStartParams: dict[str, str]
    template: PodTemplate


class WorkerGroup(HeadGroup):
    groupName: str
    replicas: int
    minReplicas: int
    maxReplicas: int


class RayCluster(Strict):
    rayVersion: str
    enableInTreeAutoscaling: bool
    autoscalerOptions: AutoscalerOptions | None = None
    authOptions: AuthOptions
    gcsFaultToleranceOptions: RedisOptions | None = None
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class RayServiceSpec(Strict):
    excludeHeadPodFromServeSvc: bool
    serveConfigV2: str
    rayClusterConfig: RayCluster


class RayService(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    metadata: dict[str, Any]
    spec: RayServiceSpec


class Synchronous(Strict):
    method: Literal["any", "first"]
    number: int


class PostgresConfiguration(Strict):
    synchronous: Synchronous


class InitDatabase(Strict):
    database: str
    owner: str


class Bootstrap(Strict):
    initdb: InitDatabase


class Storage(Strict):
    size: str
    storageClass: str | None = None


class Monitoring(Strict):
    enablePodMonitor: bool


class ClusterSpec(Strict):
    instances: int
    postgresql: PostgresConfiguration | None = None
    bootstrap: Bootstrap
    storage: Storage
    resources: dict[str, dict[str, str]]
    monitoring: Monitoring


class Cluster(Strict):
    apiVersion: Literal["postgresql.cnpg.io/v1"]
    kind: Literal["Cluster"]
    metadata: dict[str, Any]
    spec: ClusterSpec
