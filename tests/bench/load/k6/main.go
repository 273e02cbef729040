// k6 as it is, from its Go module: the version that `go.mod` pins.
package main

import "go.k6.io/k6/v2/cmd"

func main() {
	cmd.Execute()
}
