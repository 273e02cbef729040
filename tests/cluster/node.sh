#!/usr/bin/env bash
# Process 1 of the namespaces: starts every component, then waits. Ends with all of them.
set -euo pipefail
# shellcheck source=tests/cluster/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/cluster/config.sh
. "$HERE/config.sh"

start() { # NAME COMMAND...
  "${@:2}" >"$RUN/$1.log" 2>&1 &
}

# Folders that these programs insist on: private ones, so that nothing is left on the machine.
private_folders() {
  local folder
  for folder in /run/netns /run/containerd /var/lib/cni /var/lib/kubelet /var/log/pods /var/log/containers /usr/libexec/kubernetes; do
    mkdir -p "$folder"
    mount -t tmpfs none "$folder"
  done
}

network() {
  ip link set lo up
  ip link add node0 type bridge
  ip addr add "$NODE_IP/24" dev node0
  ip link set node0 up
  # Without a default route nothing finds the way to service addresses; this one leads nowhere.
  ip route add default via 172.30.0.2
  sysctl -qw net.ipv4.ip_forward=1
}

apiserver() {
  start etcd "$BIN/etcd" --data-dir "$RUN/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  start apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address="$NODE_IP" \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=10.96.0.0/16 \
    --authorization-mode=Node,RBAC --allow-privileged=true --enable-aggregator-routing=true \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" --kubelet-client-key="$PKI/apiserver-kubelet.key" \
    --kubelet-preferred-address-types=InternalIP
  until "$BIN/kubectl" --kubeconfig "$PKI/admin.kubeconfig" get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
}

control_plane() {
  # shellcheck disable=SC2086 # several flags in one variable are meant
  start controller-manager "$BIN/kube-controller-manager" --kubeconfig="$PKI/controller-manager.kubeconfig" \
    --authentication-kubeconfig="$PKI/controller-manager.kubeconfig" --authorization-kubeconfig="$PKI/controller-manager.kubeconfig" \
    --service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" --use-service-account-credentials=true \
    --allocate-node-cidrs=true --cluster-cidr=10.244.0.0/16 --service-cluster-ip-range=10.96.0.0/16 \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" --leader-elect=false ${CONTROLLER_MANAGER_FLAGS:-}
  start scheduler "$BIN/kube-scheduler" --kubeconfig="$PKI/scheduler.kubeconfig" --leader-elect=false \
    --authentication-kubeconfig="$PKI/scheduler.kubeconfig" --authorization-kubeconfig="$PKI/scheduler.kubeconfig"
}

node() {
  start kubelet "$BIN/kubelet" --config="$RUN/kubelet.yaml" --kubeconfig="$PKI/kubelet.kubeconfig" --hostname-override=node1 \
    --node-ip="$NODE_IP" --root-dir="$RUN/kubelet" --cert-dir="$RUN/kubelet-pki"
  start proxy "$BIN/kube-proxy" --config="$RUN/proxy.yaml"
  start coredns "$BIN/coredns" -conf "$RUN/Corefile"
}

metrics_server() {
  start metrics-server "$BIN/metrics-server" --kubeconfig="$PKI/admin.kubeconfig" \
    --authentication-kubeconfig="$PKI/admin.kubeconfig" --authorization-kubeconfig="$PKI/admin.kubeconfig" \
    --kubelet-insecure-tls --kubelet-preferred-address-types=InternalIP --kubelet-request-timeout=5s --metric-resolution=10s \
    --secure-port=10251 --cert-dir="$RUN/metrics-server"
  "$BIN/kubectl" --kubeconfig "$PKI/admin.kubeconfig" apply -f "$HERE/metrics-server.yaml"
}

main() {
  write_config
  private_folders
  network
  start containerd containerd -c "$RUN/containerd.toml"
  apiserver
  control_plane
  node
  metrics_server
  exec sleep infinity
}

main
