"""Configuration of every part of the one-node cluster, below one folder."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

BRIDGE, NODE = "node0", "node0"
ADDRESS = "10.244.78.1"
PODS, SERVICES, DNS = "10.244.77.0/24", "10.96.0.0/16", "10.96.0.10"
VOLUMES = 6


def write(folder: Path) -> None:
    """Writes all files: certificates, credentials, and the settings of each part."""
    _certificates(folder / "pki")
    admin, node = secrets.token_hex(16), secrets.token_hex(16)
    _write(
        folder / "pki/tokens.csv", f"{admin},admin,admin,system:masters\n{node},system:node:{NODE},node,system:nodes\n"
    )
    _write(folder / "admin.kubeconfig", _kubeconfig(folder, admin))
    _write(folder / "kubelet.kubeconfig", _kubeconfig(folder, node))
    _write(folder / "containerd.toml", _containerd(folder))
    _write(folder / "cni/10-pods.conflist", json.dumps(_pod_network(folder)))
    _write(folder / "pods.resolv.conf", f"nameserver {DNS}\nsearch svc.cluster.local cluster.local\noptions ndots:5\n")
    _write(folder / "kubelet.yaml", json.dumps(_kubelet(folder)))
    _write(folder / "kube-proxy.yaml", json.dumps(_proxy(folder)))
    _write(folder / "Corefile", _corefile(folder))
    _write(folder / "addons.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": _addons(folder)}))


def etcd(folder: Path) -> list[str]:
    clients, peers = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return [
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        # this state is thrown away
        "--unsafe-no-fsync",
    ]


def apiserver(folder: Path) -> list[str]:
    pki = folder / "pki"
    return [
        "--etcd-servers=http://127.0.0.1:2379",
        f"--bind-address={ADDRESS}",
        f"--advertise-address={ADDRESS}",
        "--secure-port=6443",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--service-cluster-ip-range={SERVICES}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/accounts.key",
        f"--service-account-signing-key-file={pki}/accounts.key",
        f"--token-auth-file={pki}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={pki}/client.crt",
        f"--kubelet-client-key={pki}/client.key",
    ]


def controller_manager(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder}/admin.kubeconfig",
        f"--service-account-private-key-file={folder}/pki/accounts.key",
        f"--root-ca-file={folder}/pki/apiserver.crt",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--use-service-account-credentials=true",
    ]


def scheduler(folder: Path) -> list[str]:
    return [f"--kubeconfig={folder}/admin.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1"]


def kubelet(folder: Path) -> list[str]:
    return [
        f"--config={folder}/kubelet.yaml",
        f"--kubeconfig={folder}/kubelet.kubeconfig",
        f"--root-dir={folder}/kubelet",
        f"--cert-dir={folder}/pki/kubelet",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
    ]


def _write(path: Path, text: str) -> None:
    # some hold credentials
    path.touch(mode=0o600)
    path.write_text(text)


def _certificates(pki: Path) -> None:
    names = f"subjectAltName=IP:{ADDRESS},IP:10.96.0.1,DNS:kubernetes.default.svc"
    _openssl(pki, "apiserver", f"/CN={ADDRESS}", names)
    # what the API server shows to kubelet, which trusts this one certificate
    _openssl(pki, "client", "/O=system:masters/CN=apiserver", "extendedKeyUsage=clientAuth")
    subprocess.run(["openssl", "genrsa", "-out", str(pki / "accounts.key"), "2048"], check=True, capture_output=True)


def _openssl(pki: Path, name: str, subject: str, extension: str) -> None:
    arguments = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", subject, "-addext", extension]
    files = ["-keyout", f"{pki}/{name}.key", "-out", f"{pki}/{name}.crt"]
    subprocess.run(["openssl", "req", *arguments, *files], check=True, capture_output=True)


def _kubeconfig(folder: Path, token: str) -> str:
    cluster = {"server": f"https://{ADDRESS}:6443", "certificate-authority": f"{folder}/pki/apiserver.crt"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "node", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "node", "context": {"cluster": "node", "user": "user"}}],
            "current-context": "node",
        }
    )


def containerd(root: Path, state: Path) -> str:
    """Of a containerd that keeps images and what containers write in `root`, sockets in `state`, and runs no pods."""
    return f"""\
version = 2
root = "{root}"
state = "{state}"
oom_score = 0

[grpc]
address = "{state}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{state}/opt"
"""


def _containerd(folder: Path) -> str:
    return f"""\
{containerd(folder / "containerd", folder / "run")}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "heldout.local/pause:1"
# machines without CAP_SYS_RESOURCE let no process lower its score
restrict_oom_score_adj = true
disable_apparmor = true
disable_tcp_service = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _pod_network(folder: Path) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": f"{folder}/addresses",
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{**bridge, "ipam": addresses}, ports]}


def _kubelet(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{folder}/pki/client.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "failCgroupV1": False,
        "containerRuntimeEndpoint": f"unix://{folder}/run/containerd.sock",
        # soon after a test has given the node GPUs they can be had
        "nodeStatusUpdateFrequency": "1s",
        "maxOpenFiles": 20000,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{folder}/pods.resolv.conf",
        "podLogsDir": f"{folder}/podlogs",
        "volumePluginDir": f"{folder}/plugins",
        # the disk is the machine's: nothing is evicted or collected because others fill it
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def _proxy(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": ADDRESS,
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "clientConnection": {"kubeconfig": f"{folder}/admin.kubeconfig"},
        "conntrack": {"maxPerCore": 0},
    }


def _corefile(folder: Path) -> str:
    return f"""\
.:53 {{
    bind {ADDRESS}
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {folder}/admin.kubeconfig
        pods insecure
    }}
    cache 5
}}
"""


def _addons(folder: Path) -> list[dict[str, Any]]:
    """The service of the DNS that runs beside the node, and volumes in place of a provisioner."""
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": DNS, "ports": ports}}
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ADDRESS]}],
        "ports": ports,
    }
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "folders", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "Immediate",
    }
    return [service, endpoints, storage_class, *(_volume(folder, number) for number in range(VOLUMES))]


def _volume(folder: Path, number: int) -> dict[str, Any]:
    path = folder / f"volumes/{number}"
    path.mkdir(parents=True, exist_ok=True)
    # fsGroup is not applied to folders of the node
    path.chmod(0o777)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"folder-{number}"},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "folders",
            "hostPath": {"path": str(path)},
        },
    }
