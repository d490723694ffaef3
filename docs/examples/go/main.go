// Lists the deployments that run, or follows one until it has ended.
//
//	go run . -deployer deployer.example:7402 -tls ~/.config/kadeploy/tls [DEPLOYMENT]
//
// The directory has certificate.pem, private_key.pem and ca.pem. The exit status is 1 for a deployment that failed.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	deployerv1 "kadeploy/deployer/v1"
)

const (
	callTimeout   = 30 * time.Second
	streamTimeout = time.Minute
	pause         = time.Second
)

func main() {
	log.SetFlags(0)
	address := flag.String("deployer", "127.0.0.1:7402", "where the deployer answers")
	directory := flag.String("tls", ".", "the directory with certificate.pem, private_key.pem and ca.pem")
	flag.Parse()
	connection, err := connect(*address, *directory)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := deployerv1.NewDeploymentServiceClient(connection)
	if flag.NArg() == 0 {
		err = list(client)
	} else {
		err = follow(client, flag.Arg(0))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func connect(address, directory string) (*grpc.ClientConn, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(directory, "certificate.pem"), filepath.Join(directory, "private_key.pem"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(directory, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("ca.pem holds no certificate")
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}
	return grpc.Dial(address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{})))
}

// codec writes messages with the run time that the stubs are made for. Debian 12's gRPC knows only the one before it;
// from gRPC 1.34 on this is what gRPC does by itself.
type codec struct{}

func (codec) Marshal(v interface{}) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }
func (codec) Unmarshal(data []byte, v interface{}) error {
	return proto.Unmarshal(data, v.(proto.Message))
}
func (codec) Name() string { return "proto" }

// list prints the deployments that wait or run.
func list(client deployerv1.DeploymentServiceClient) error {
	request := &deployerv1.ListDeploymentsRequest{
		PageSize: 500,
		Filter: &deployerv1.DeploymentFilter{States: []deployerv1.DeploymentState{
			deployerv1.DeploymentState_DEPLOYMENT_STATE_WAITING,
			deployerv1.DeploymentState_DEPLOYMENT_STATE_DEPLOYING,
		}},
	}
	for {
		answer, err := listPage(client, request)
		if err != nil {
			return err
		}
		for _, one := range answer.Deployments {
			fmt.Println(one.Id, one.State, one.Owner, one.Spec.Nodes)
		}
		if answer.NextPageToken == "" {
			return nil
		}
		request.PageToken = answer.NextPageToken
	}
}

func listPage(client deployerv1.DeploymentServiceClient, request *deployerv1.ListDeploymentsRequest) (*deployerv1.ListDeploymentsResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return client.ListDeployments(ctx, request)
}

// follow prints what happens until the deployment has ended. A stream that breaks is taken up after the last event.
func follow(client deployerv1.DeploymentServiceClient, id string) error {
	var sequence int64
	for {
		ended, err := watch(client, id, &sequence)
		if ended || (err != nil && !passes(err)) {
			return err
		}
		time.Sleep(pause)
	}
}

// watch reads one stream. It says whether the deployment has ended; the error then tells of one that failed.
func watch(client deployerv1.DeploymentServiceClient, id string, sequence *int64) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), streamTimeout)
	defer cancel()
	stream, err := client.WatchDeployment(ctx, &deployerv1.WatchDeploymentRequest{Id: id, AfterSequence: *sequence})
	if err != nil {
		return false, err
	}
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return outcome(client, id)
		}
		if err != nil {
			return false, err
		}
		if snapshot := answer.GetSnapshot(); snapshot != nil {
			*sequence = snapshot.Sequence
			fmt.Println(snapshot.Deployment.Id, snapshot.Deployment.State)
		}
		if event := answer.GetEvent(); event != nil {
			*sequence = event.Sequence
			if changed := event.GetPartitionStateChanged(); changed != nil {
				fmt.Println(event.Node, changed.State, changed.Description)
			}
		}
	}
}

func outcome(client deployerv1.DeploymentServiceClient, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	deployment, err := client.GetDeployment(ctx, &deployerv1.GetDeploymentRequest{Id: id})
	if err != nil {
		return false, err
	}
	switch deployment.State {
	case deployerv1.DeploymentState_DEPLOYMENT_STATE_TERMINATED:
		fmt.Println(deployment.Description)
		return true, nil
	case deployerv1.DeploymentState_DEPLOYMENT_STATE_ERROR:
		return true, errors.New(deployment.Description)
	}
	return false, nil
}

// passes says whether another try may put an error right.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return false
}
