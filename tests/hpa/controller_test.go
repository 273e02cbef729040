// Package hpa runs the real HPA controller of Kubernetes, whole, in the fake time of testing/synctest, and records
// what it does at every sync: `CIO_HPA_RECORDING=FILE go test .` writes the scenarios with the replicas it set.
package hpa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/scale"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

const (
	namespace = "test"
	name      = "events-worker"
	// The controller-manager's defaults.
	sync15s         = 15 * time.Second
	downscaleWindow = 5 * time.Minute
	tolerance       = 0.1
	cpuInit         = 5 * time.Minute
	readinessDelay  = 30 * time.Second
)

var podLabels = map[string]string{"app": name}

// stage is everything around the controller: the Deployment's scale, its pods, and the metrics.
type stage struct {
	sync.Mutex
	client   *fake.Clientset
	scenario *Scenario
	tick     int
	replicas int32
	begin    time.Time
	pods     []pod
	created  int
}

type pod struct {
	name string
	born time.Duration
}

func (s *stage) elapsed() time.Duration { return time.Since(s.begin).Round(time.Second) }

// runs says whether a pod runs at the next sync.
func (s *stage) runs(p pod) bool {
	return time.Duration(s.tick)*sync15s-p.born >= time.Duration(s.scenario.PodStartSeconds)*time.Second
}

// settle brings the pods to the number wanted, as a Deployment does, and their phases up to date.
func (s *stage) settle(t *testing.T) {
	s.Lock()
	defer s.Unlock()
	ctx := context.Background()
	for len(s.pods) > int(s.replicas) {
		last := s.pods[len(s.pods)-1]
		s.pods = s.pods[:len(s.pods)-1]
		must(t, s.client.CoreV1().Pods(namespace).Delete(ctx, last.name, metav1.DeleteOptions{}))
	}
	for len(s.pods) < int(s.replicas) {
		born := s.elapsed().Truncate(sync15s)
		if s.tick == 0 {
			born = -time.Hour
		}
		p := pod{fmt.Sprintf("pod-%d", s.created), born}
		s.created++
		s.pods = append(s.pods, p)
		_, err := s.client.CoreV1().Pods(namespace).Create(ctx, s.object(p), metav1.CreateOptions{})
		must(t, err)
	}
	for _, p := range s.pods {
		_, err := s.client.CoreV1().Pods(namespace).Update(ctx, s.object(p), metav1.UpdateOptions{})
		must(t, err)
	}
}

func (s *stage) object(p pod) *v1.Pod {
	started := metav1.NewTime(s.begin.Add(p.born))
	status := v1.PodStatus{Phase: v1.PodPending}
	if s.runs(p) {
		status = v1.PodStatus{Phase: v1.PodRunning, StartTime: &started,
			Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue, LastTransitionTime: started}}}
	}
	cpu := v1.ResourceList{v1.ResourceCPU: resource.MustParse("100m")}
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: p.name, Namespace: namespace, Labels: podLabels},
		Spec:       v1.PodSpec{Containers: []v1.Container{{Name: "worker", Resources: v1.ResourceRequirements{Requests: cpu}}}},
		Status:     status,
	}
}

// running are the names the adapter lists: Running pods, no other.
func (s *stage) running() []string {
	var names []string
	for _, p := range s.pods {
		if s.runs(p) {
			names = append(names, p.name)
		}
	}
	return names
}

func (s *stage) reading() Reading {
	return s.scenario.Readings[min(s.tick, len(s.scenario.Readings)-1)]
}

// each is one value for each Running pod.
func (s *stage) each(value int64) (metrics.PodMetricsInfo, time.Time, error) {
	info := metrics.PodMetricsInfo{}
	for _, name := range s.running() {
		info[name] = metrics.PodMetric{Timestamp: time.Now(), Value: value}
	}
	return info, time.Now(), nil
}

func (s *stage) GetResourceMetric(context.Context, v1.ResourceName, string, labels.Selector, string) (metrics.PodMetricsInfo, time.Time, error) {
	s.Lock()
	defer s.Unlock()
	percent := s.reading().CPU
	if percent == nil {
		return nil, time.Time{}, errors.New("no metrics-server")
	}
	return s.each(*percent) // of 100m, in milli-units
}

func (s *stage) GetRawMetric(string, string, labels.Selector, labels.Selector) (metrics.PodMetricsInfo, time.Time, error) {
	s.Lock()
	defer s.Unlock()
	depth, running := s.reading().Depth, int64(len(s.running()))
	if depth == nil || running == 0 {
		return nil, time.Time{}, errors.New("no metrics returned")
	}
	return s.each(*depth * 1000 / running)
}

func (s *stage) GetObjectMetric(string, string, *autoscalingv2.CrossVersionObjectReference, labels.Selector) (int64, time.Time, error) {
	return 0, time.Time{}, errors.New("not asked for")
}

func (s *stage) GetExternalMetric(string, string, labels.Selector) ([]int64, time.Time, error) {
	s.Lock()
	defer s.Unlock()
	depth := s.reading().Depth
	if depth == nil {
		return nil, time.Time{}, errors.New("no metrics returned")
	}
	return []int64{*depth * 1000}, time.Now(), nil
}

// Scales, Get, Update and Patch are the scale subresource.
func (s *stage) Scales(string) scale.ScaleInterface { return s }

func (s *stage) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	s.Lock()
	defer s.Unlock()
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: s.replicas},
		Status:     autoscalingv1.ScaleStatus{Replicas: s.replicas, Selector: "app=" + name},
	}, nil
}

func (s *stage) Update(_ context.Context, _ schema.GroupResource, wanted *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	s.Lock()
	defer s.Unlock()
	s.replicas = wanted.Spec.Replicas
	return wanted, nil
}

func (s *stage) Patch(context.Context, schema.GroupVersionResource, string, types.PatchType, []byte, metav1.PatchOptions) (*autoscalingv1.Scale, error) {
	return nil, errors.New("not asked for")
}

func target(kind autoscalingv2.MetricTargetType, percent *int32, value *resource.Quantity) autoscalingv2.MetricTarget {
	return autoscalingv2.MetricTarget{Type: kind, AverageUtilization: percent, AverageValue: value}
}

// object is the HPA that the operator makes of the same numbers, with the API server's defaults.
func (s *Scenario) object() *autoscalingv2.HorizontalPodAutoscaler {
	identifier := autoscalingv2.MetricIdentifier{Name: "cio_queue_depth"}
	depth := target(autoscalingv2.AverageValueMetricType, nil, resource.NewQuantity(s.QueueDepth, resource.DecimalSI))
	cpu := target(autoscalingv2.UtilizationMetricType, &s.CPUUtilization, nil)
	queue := autoscalingv2.MetricSpec{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{Metric: identifier, Target: depth}}
	if s.External {
		queue = autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{Metric: identifier, Target: depth}}
	}
	hpa := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: "1"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    &s.MinReplicas, MaxReplicas: s.MaxReplicas, Behavior: s.Behavior.DeepCopy(),
			Metrics: []autoscalingv2.MetricSpec{
				{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: v1.ResourceCPU, Target: cpu}}, queue},
		},
	}
	defaults.SetDefaults_HorizontalPodAutoscaler(hpa)
	defaults.SetDefaults_HorizontalPodAutoscalerBehavior(hpa)
	return hpa
}

// record runs the scenario: one sync of the controller for each reading.
func (s *Scenario) record(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hpa := s.object()
	around := &stage{scenario: s, replicas: s.Replicas, begin: time.Now(), client: fake.NewSimpleClientset(hpa)}
	around.settle(t)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	factory := informers.NewSharedInformerFactory(around.client, 0)
	pods := factory.Core().V1().Pods()
	controller := podautoscaler.NewHorizontalController(ctx, around.client.CoreV1(), around, around.client.AutoscalingV2(), mapper, around,
		factory.Autoscaling().V2().HorizontalPodAutoscalers(), pods, sync15s, downscaleWindow, tolerance, cpuInit, readinessDelay)
	pods.Informer()
	factory.Start(ctx.Done())
	go controller.Run(ctx, 1)
	// Half a sync period after each sync it is read what came of it, and the next reading laid out.
	time.Sleep(sync15s / 2)
	for range s.Readings {
		synctest.Wait()
		around.Lock()
		s.Recorded = append(s.Recorded, around.replicas)
		around.tick++
		around.Unlock()
		around.settle(t)
		time.Sleep(sync15s)
	}
	cancel()
	factory.Shutdown()
	synctest.Wait()
}

func TestRecord(t *testing.T) {
	// The library's own handlers wait until the true time, which a bubble of synctest does not have. What
	// cannot be read is part of some scenarios; everything else would show in the replicas.
	runtime.ErrorHandlers = []runtime.ErrorHandler{func(_ context.Context, err error, _ string, _ ...any) {
		if testing.Verbose() {
			fmt.Println(err)
		}
	}}
	scenarios := scenarios()
	for index := range scenarios {
		t.Run(scenarios[index].Name, func(t *testing.T) { synctest.Test(t, scenarios[index].record) })
	}
	text, err := json.Marshal(scenarios)
	must(t, err)
	if file := os.Getenv("CIO_HPA_RECORDING"); file != "" {
		must(t, os.WriteFile(file, append(text, '\n'), 0o644))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
