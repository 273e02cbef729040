#!/usr/bin/env bash
# Process 1 of the namespaces: starts every component, then waits. Ends with all of them.
set -euo pipefail
# shellcheck source=tests/cluster/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/cluster/config.sh
. "$HERE/config.sh"

declare -A NAMES COMMANDS

start() { # NAME COMMAND...
  "${@:2}" >>"$RUN/$1.log" 2>&1 &
  NAMES[$!]=$1
  printf -v "COMMANDS[$1]" '%q ' "${@:2}"
  echo $! >"$RUN/pids/$1"
}

# What components write to fixed places of a machine goes to folders of our own. The places are created where they are missing:
# empty mount points are all that a cluster leaves outside.
own_folders() {
  local place
  for place in /run /var/lib/cni /var/lib/kubelet /var/log/containers; do
    mkdir -p "$RUN/root$place" "$place"
    mount --bind "$RUN/root$place" "$place"
  done
}

# The kubelet sets these for the whole machine unless they are as it wants: it sees copies which are.
own_sysctls() {
  local setting copy
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    copy=$RUN/sysctl/${setting%=*}
    mkdir -p "$(dirname "$copy")"
    echo "${setting#*=}" >"$copy"
    mount --bind "$copy" "/proc/sys/${setting%=*}"
  done
}

# Pods' control groups are the machine's; all of them lie below one of our own, which `down` removes.
own_control_groups() {
  local hierarchy
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ ! -f "$hierarchy/cgroup.procs" ] || mkdir -p "$hierarchy/$CGROUP"
  done
}

# Programs that `cluster exec` runs find services by name.
own_names() {
  local file
  file=$(realpath -m /etc/resolv.conf)
  case $file in /run/*) mkdir -p "$(dirname "$file")" && touch "$file" ;; esac
  [ ! -e "$file" ] || mount --bind "$RUN/resolv.conf" "$file"
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
    --kubelet-preferred-address-types=InternalIP \
    --audit-policy-file="$RUN/audit.yaml" --audit-log-path="$RUN/audit.log" --audit-log-maxsize=500
  local server=$!
  until "$BIN/kubectl" --kubeconfig "$PKI/admin.kubeconfig" get --raw /readyz >/dev/null 2>&1; do
    kill -0 "$server" || watch_components
    sleep 0.2
  done
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
    --node-ip="$NODE_IP" --cert-dir="$RUN/kubelet-pki"
  start proxy "$BIN/kube-proxy" --config="$RUN/proxy.yaml"
  start coredns "$BIN/coredns" -conf "$RUN/Corefile"
}

# Enforces NetworkPolicies, where the variable NETWORK_POLICIES asks for it. Packets between pods pass no filter on their bridge otherwise.
network_policies() {
  [ -n "${NETWORK_POLICIES:-}" ] || return 0
  sysctl -qw net.bridge.bridge-nf-call-iptables=1
  # It ends where it does not find its node.
  until "$BIN/kubectl" --kubeconfig "$PKI/admin.kubeconfig" get node node1 >/dev/null 2>&1; do sleep 0.2; done
  start kube-router "$BIN/kube-router" --kubeconfig="$PKI/admin.kubeconfig" --hostname-override=node1 \
    --run-firewall=true --run-router=false --run-service-proxy=false --service-cluster-ip-range=10.96.0.0/16 \
    --health-port=0 --metrics-port=0 --iptables-sync-period=1m
}

metrics_server() {
  # shellcheck disable=SC2086 # several flags in one variable are meant
  start metrics-server "$BIN/metrics-server" --kubeconfig="$PKI/admin.kubeconfig" \
    --authentication-kubeconfig="$PKI/admin.kubeconfig" --authorization-kubeconfig="$PKI/admin.kubeconfig" \
    --kubelet-insecure-tls --kubelet-preferred-address-types=InternalIP --kubelet-request-timeout=5s --metric-resolution=10s \
    --secure-port=10251 --cert-dir="$RUN/metrics-server" ${METRICS_SERVER_FLAGS:-}
  "$BIN/kubectl" --kubeconfig "$PKI/admin.kubeconfig" apply -f "$HERE/metrics-server.yaml"
}

# As process 1 it also reaps what containers leave behind, which `wait` does.
watch_components() {
  local ended status
  while :; do
    status=0
    wait -n -p ended || status=$?
    [ -n "${ended:-}" ] || die "no component is left"
    local name=${NAMES[$ended]}
    # `component restart` asked for it.
    if rm "$RUN/pids/$name.again" 2>/dev/null; then
      eval "start $name ${COMMANDS[$name]}"
      continue
    fi
    echo "$name ended with status $status" >>"$RUN/ended"
  done
}

main() {
  mkdir -p "$RUN/pids"
  write_config
  own_folders
  own_sysctls
  own_control_groups
  own_names
  network
  start containerd containerd -c "$RUN/containerd.toml"
  apiserver
  control_plane
  node
  network_policies
  metrics_server
  watch_components
}

main
