//go:build tools

package main

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
