package hpa

import (
	"fmt"
	"math/rand/v2"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// Scenario is a pipeline's numbers, what is read at each sync, and what the controller made of it.
type Scenario struct {
	Name            string                                         `json:"name"`
	MinReplicas     int32                                          `json:"minReplicas"`
	MaxReplicas     int32                                          `json:"maxReplicas"`
	CPUUtilization  int32                                          `json:"cpuUtilization"`
	QueueDepth      int64                                          `json:"queueDepth"`
	External        bool                                           `json:"external"`
	Behavior        *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior"`
	Replicas        int32                                          `json:"replicas"`
	PodStartSeconds int64                                          `json:"podStartSeconds"`
	Readings        []Reading                                      `json:"readings"`
	Recorded        []int32                                        `json:"recorded"`
}

// Reading is the whole queue's depth and the pods' CPU in percent; what is absent cannot be read.
type Reading struct {
	Depth *int64 `json:"depth"`
	CPU   *int64 `json:"cpu"`
}

func pods(value, period int32) autoscalingv2.HPAScalingPolicy {
	return autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: value, PeriodSeconds: period}
}

func rules(window int32, policies ...autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
	return &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &window, Policies: policies}
}

// guide is rows H1 to H4.
func guide(name string, readings []Reading) Scenario {
	return Scenario{Name: name, MinReplicas: 2, MaxReplicas: 20, CPUUtilization: 70, QueueDepth: 500, Replicas: 2, PodStartSeconds: 5,
		Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: rules(60, pods(4, 60)), ScaleDown: rules(300, pods(2, 120))},
		Readings: readings}
}

// lasting is the same reading at so many syncs.
func lasting(ticks int, depth, cpu int64) []Reading {
	readings := make([]Reading, ticks)
	for index := range readings {
		readings[index] = Reading{&depth, &cpu}
	}
	return readings
}

func joined(parts ...[]Reading) []Reading {
	var all []Reading
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func scenarios() []Scenario {
	unknown := make([]Reading, 8)
	list := []Scenario{
		guide("a standing backlog of 2,000", lasting(40, 2000, 10)),
		guide("a backlog of 20,000 that is drained", joined(lasting(30, 20_000, 20), lasting(60, 0, 5))),
		guide("a spike shorter than the window", joined(lasting(4, 0, 5), lasting(3, 9000, 30), lasting(30, 0, 5))),
		guide("depth unknown for two minutes", joined(lasting(10, 4000, 20), unknown, lasting(20, 100, 20))),
		guide("CPU above its target", joined(lasting(10, 0, 300), lasting(40, 0, 10))),
		guide("within the tolerance", joined(lasting(10, 1090, 10), lasting(10, 1110, 10), lasting(10, 905, 10))),
	}
	slow := guide("pods that start slowly", joined(lasting(30, 9000, 10), lasting(30, 300, 10)))
	slow.PodStartSeconds = 50
	external := guide("an external metric", joined(lasting(30, 7777, 10), lasting(50, 1200, 10)))
	external.External = true
	plain := guide("Kubernetes' own behaviour", joined(lasting(10, 9000, 10), lasting(40, 300, 10)))
	plain.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: &autoscalingv2.HPAScalingRules{}}
	above := guide("more pods than the maximum", lasting(20, 100, 10))
	above.Replicas = 30
	below := guide("fewer pods than the minimum", lasting(20, 100, 10))
	below.Replicas = 1
	list = append(list, slow, external, plain, above, below)
	random := rand.New(rand.NewPCG(6, 2026))
	for index := range 100 {
		list = append(list, chance(random, index))
	}
	return list
}

// chance is a scenario of random numbers: always the same ones.
func chance(random *rand.Rand, index int) Scenario {
	behavior := &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: chanceRules(random), ScaleDown: chanceRules(random)}
	least := 1 + random.Int32N(4)
	most := least + 1 + random.Int32N(30)
	return Scenario{Name: fmt.Sprintf("random %d", index), MinReplicas: least, MaxReplicas: most,
		CPUUtilization: 30 + random.Int32N(90), QueueDepth: 50 + random.Int64N(1000), External: index%3 == 0, Behavior: behavior,
		Replicas: least + random.Int32N(most-least+1), PodStartSeconds: random.Int64N(60), Readings: chanceReadings(random)}
}

func chanceRules(random *rand.Rand) *autoscalingv2.HPAScalingRules {
	window := 15 * random.Int32N(8) * random.Int32N(2)
	policies := make([]autoscalingv2.HPAScalingPolicy, 1+random.IntN(3))
	for index := range policies {
		policies[index] = pods(1+random.Int32N(8), 15+15*random.Int32N(8))
		if random.IntN(2) == 0 {
			policies[index].Type, policies[index].Value = autoscalingv2.PercentScalingPolicy, 5+random.Int32N(120)
		}
	}
	made := rules(window, policies...)
	choices := []autoscalingv2.ScalingPolicySelect{autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect}
	choice := choices[random.IntN(len(choices)+4)%len(choices)]
	made.SelectPolicy = &choice
	return made
}

// chanceReadings wander, jump, and are missing now and then.
func chanceReadings(random *rand.Rand) []Reading {
	depth, cpu := random.Int64N(8000), random.Int64N(150)
	readings := make([]Reading, 80)
	for index := range readings {
		switch random.IntN(12) {
		case 0:
			depth = random.Int64N(20_000)
		case 1:
			depth = 0
		case 2:
			cpu = random.Int64N(150)
		}
		depth += depth * (random.Int64N(41) - 20) / 100
		depthNow, cpuNow := depth, cpu
		readings[index] = Reading{&depthNow, &cpuNow}
		if random.IntN(15) == 0 {
			readings[index].Depth = nil
		}
		if random.IntN(15) == 0 {
			readings[index].CPU = nil
		}
	}
	return readings
}
