# shellcheck shell=bash
# Certificates and kubeconfigs, one user for each component as in a real cluster. Made anew for every start (half a second), so
# that they never outlive the folder that their paths name.

pki() {
  (umask 077 && mkdir -p "$PKI")
  authority ca
  authority front-proxy-ca
  leaf apiserver ca /CN=kube-apiserver "IP:127.0.0.1,IP:$NODE_IP,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  leaf front-proxy front-proxy-ca /CN=front-proxy-client
  leaf apiserver-kubelet ca /O=system:masters/CN=kube-apiserver-kubelet-client
  user controller-manager /CN=system:kube-controller-manager
  user scheduler /CN=system:kube-scheduler
  user proxy /CN=system:kube-proxy
  user kubelet /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:$NODE_IP"
  openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/sa.key"
  openssl ec -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2>/dev/null
  user admin /O=system:masters/CN=admin
}

key() { # NAME REQ_ARGUMENTS...
  openssl req "${@:2}" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$PKI/$1.key" 2>/dev/null
}

authority() {
  key "$1" -x509 -days 3650 -out "$PKI/$1.crt" -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

leaf() { # NAME AUTHORITY SUBJECT [ALTERNATIVE_NAMES]
  key "$1" -out "$PKI/$1.csr" -subj "$3"
  openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/$2.crt" -CAkey "$PKI/$2.key" -CAcreateserial -days 3650 -out "$PKI/$1.crt" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s\n' "${4:+subjectAltName=$4}") 2>/dev/null
}

user() { # NAME SUBJECT [ALTERNATIVE_NAMES]
  leaf "$1" ca "$2" "${3:-}"
  cat >"$PKI/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://$NODE_IP:6443", certificate-authority: $PKI/ca.crt}}]
users: [{name: user, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
contexts: [{name: local, context: {cluster: local, user: user}}]
current-context: local
YAML
}
