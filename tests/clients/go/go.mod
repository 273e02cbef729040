module cio.dev/tests/clients

go 1.26

require github.com/customerio/go-customerio/v3 v3.9.0
