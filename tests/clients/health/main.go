// Reads expressions and objects from a file of JSON, and says what Flux makes of each object, with Flux's own code:
// without the expressions, and by them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type question struct {
	Expressions kustomize.HealthCheckExpressions `json:"expressions"`
	Objects     []json.RawMessage                `json:"objects"`
}

type answer struct {
	Kstatus     string `json:"kstatus"`
	Expressions string `json:"expressions"`
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var asked question
	if err := json.Unmarshal(text, &asked); err != nil {
		return err
	}
	evaluator, err := cel.NewStatusEvaluator(&asked.Expressions)
	if err != nil {
		return err
	}
	answers := []answer{}
	for _, text := range asked.Objects {
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(text); err != nil {
			return err
		}
		plain, err := status.Compute(&object)
		if err != nil {
			return err
		}
		answers = append(answers, answer{plain.Status.String(), judge(evaluator, &object)})
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

// An expression that names what is not there yet leaves the status unknown, and Flux waits.
func judge(evaluator *cel.StatusEvaluator, object *unstructured.Unstructured) string {
	result, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return status.UnknownStatus.String()
	}
	return result.Status.String()
}
