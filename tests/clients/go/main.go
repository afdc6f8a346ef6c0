// A client of the resource API with Kubernetes' own Go library: an informer that lives through a restart of the
// controller, server-side apply, conflicts, pages and errors.
//
// It prints `restart` when the controller shall be killed and started again, and goes on when a line comes in.
// The last line that it prints is `done`; else it says what was wrong and exits with 1.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

// What must happen on two busy cores happens within this time; an informer's pause between tries is in it.
const patience = 90 * time.Second

var users = schema.GroupVersionResource{Group: "horizon.dev", Version: "v1alpha1", Resource: "users"}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

func run(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	people := client.Resource(users).Namespace("default")
	checks := []struct {
		name  string
		check func() error
	}{
		{"discovery", func() error { return checkDiscovery(config) }},
		{"informer", func() error { return checkInformer(ctx, config, people) }},
		{"watch list", func() error { return checkWatchList(ctx, people) }},
		{"pages", func() error { return checkPages(ctx, people) }},
		{"server-side apply", func() error { return checkApply(ctx, people) }},
		{"conflict", func() error { return checkConflict(ctx, people) }},
		{"errors", func() error { return checkErrors(ctx, people) }},
	}
	for _, check := range checks {
		if err := check.check(); err != nil {
			return fmt.Errorf("%s: %w", check.name, err)
		}
	}
	return nil
}

func user(name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "horizon.dev/v1alpha1",
		"kind":       "User",
		"metadata":   map[string]any{"name": name},
		"spec":       spec,
	}}
}

func checkDiscovery(config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	lists, err := client.ServerPreferredResources()
	if err != nil {
		return err
	}
	for _, list := range lists {
		for _, resource := range list.APIResources {
			if list.GroupVersion == "horizon.dev/v1alpha1" && resource.Name == "users" {
				return expect("kind", resource.Kind, "User")
			}
		}
	}
	return errors.New("users are not listed")
}

// lister counts the lists of users that are asked for: an informer whose version expired asks for another one.
type lister struct {
	next  http.RoundTripper
	mutex sync.Mutex
	lists int
}

func (l *lister) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	if strings.HasSuffix(request.URL.Path, "/users") && query.Get("watch") == "" {
		l.mutex.Lock()
		l.lists++
		l.mutex.Unlock()
	}
	return l.next.RoundTrip(request)
}

func (l *lister) count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.lists
}

func checkInformer(ctx context.Context, config *rest.Config, people dynamic.ResourceInterface) error {
	if _, err := people.Create(ctx, user("alice", map[string]any{"groups": []any{"staff"}}), metav1.CreateOptions{}); err != nil {
		return err
	}
	counter := &lister{}
	watched := rest.CopyConfig(config)
	watched.Wrap(func(next http.RoundTripper) http.RoundTripper { counter.next = next; return counter })
	client, err := dynamic.NewForConfig(watched)
	if err != nil {
		return err
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(
		client, users, "default", 0, cache.Indexers{}, nil).Informer()
	events := make(chan string, 1000)
	name := func(object any) string {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			return gone.Key
		}
		return object.(*unstructured.Unstructured).GetName()
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { events <- "add " + name(object) },
		DeleteFunc: func(object any) { events <- "delete " + name(object) },
		UpdateFunc: func(_, object any) {
			events <- "update " + name(object) + " " + object.(*unstructured.Unstructured).GetLabels()["seen"]
		},
	})
	if err != nil {
		return err
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("the first list never came")
	}
	if err := await(events, "add alice"); err != nil {
		return err
	}
	if _, err := people.Create(ctx, user("bob", map[string]any{}), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := await(events, "add bob"); err != nil {
		return err
	}
	if err := settle(ctx, people, informer.GetStore(), "alice", "bob"); err != nil {
		return err
	}
	if err := restart(); err != nil {
		return err
	}
	label := []byte(`{"metadata":{"labels":{"seen":"after"}}}`)
	if _, err := people.Patch(ctx, "alice", types.MergePatchType, label, metav1.PatchOptions{}); err != nil {
		return err
	}
	if err := await(events, "update alice after"); err != nil {
		return err
	}
	if err := people.Delete(ctx, "bob", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := await(events, "delete bob"); err != nil {
		return err
	}
	if err := expect("what the informer holds", fmt.Sprint(informer.GetStore().ListKeys()), "[default/alice]"); err != nil {
		return err
	}
	// It went on from the version that it knew: nothing had expired.
	return expect("lists", fmt.Sprint(counter.count()), "1")
}

// await reads events until this one comes. Others may come before it: a status follows each change.
func await(events <-chan string, wanted string) error {
	timer := time.After(patience)
	var seen []string
	for {
		select {
		case event := <-events:
			if event == wanted {
				return nil
			}
			seen = append(seen, event)
		case <-timer:
			return fmt.Errorf("%q did not come, but %q", wanted, seen)
		}
	}
}

// settle waits until the controller told what it makes of these, and the informer knows.
func settle(ctx context.Context, people dynamic.ResourceInterface, store cache.Store, names ...string) error {
	for _, name := range names {
		for {
			object, err := people.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
			known, found, err := store.GetByKey("default/" + name)
			if err != nil {
				return err
			}
			if found && observed == object.GetGeneration() &&
				known.(*unstructured.Unstructured).GetResourceVersion() == object.GetResourceVersion() {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

func restart() error {
	fmt.Println("restart")
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the controller was not started again: %q %w", line, err)
	}
	return nil
}

func checkWatchList(ctx context.Context, people dynamic.ResourceInterface) error {
	yes := true
	stream, err := people.Watch(ctx, metav1.ListOptions{
		SendInitialEvents:    &yes,
		AllowWatchBookmarks:  true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return err
	}
	defer stream.Stop()
	timer := time.After(patience)
	var names []string
	for {
		select {
		case event := <-stream.ResultChan():
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				return fmt.Errorf("unexpected %v", event)
			}
			if event.Type == watch.Bookmark && object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
				return expect("initial events", fmt.Sprint(names), "[alice]")
			}
			names = append(names, object.GetName())
		case <-timer:
			return errors.New("no bookmark ended the first events")
		}
	}
}

func checkPages(ctx context.Context, people dynamic.ResourceInterface) error {
	for _, name := range []string{"page-1", "page-2", "page-3"} {
		if _, err := people.Create(ctx, user(name, map[string]any{}), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	var names []string
	options := metav1.ListOptions{Limit: 2}
	for page := 0; ; page++ {
		list, err := people.List(ctx, options)
		if err != nil {
			return err
		}
		for _, item := range list.Items {
			names = append(names, item.GetName())
		}
		if page == 0 {
			// What is deleted meanwhile is on the page that was begun before.
			if err := people.Delete(ctx, "page-3", metav1.DeleteOptions{}); err != nil {
				return err
			}
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			break
		}
	}
	return expect("names", fmt.Sprint(names), "[alice page-1 page-2 page-3]")
}

func checkApply(ctx context.Context, people dynamic.ResourceInterface) error {
	two := user("carol", map[string]any{"maxDevices": int64(2)})
	if _, err := people.Apply(ctx, "carol", two, metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return err
	}
	three := user("carol", map[string]any{"maxDevices": int64(3)})
	_, err := people.Apply(ctx, "carol", three, metav1.ApplyOptions{FieldManager: "two"})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("no conflict: %v", err)
	}
	cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldManagerConflict)
	if !ok {
		return fmt.Errorf("no cause: %v", err)
	}
	if err := expect("cause", cause.Field+" "+cause.Message, `.spec.maxDevices conflict with "one"`); err != nil {
		return err
	}
	carol, err := people.Apply(ctx, "carol", three, metav1.ApplyOptions{FieldManager: "two", Force: true})
	if err != nil {
		return err
	}
	var managers []string
	for _, entry := range carol.GetManagedFields() {
		managers = append(managers, entry.Manager+" "+string(entry.Operation))
	}
	slices.Sort(managers)
	return expect("managers", strings.Join(managers, ", "), "two Apply")
}

func checkConflict(ctx context.Context, people dynamic.ResourceInterface) error {
	stale, err := people.Get(ctx, "carol", metav1.GetOptions{})
	if err != nil {
		return err
	}
	patch := []byte(`{"spec":{"displayName":"Carol"}}`)
	if _, err := people.Patch(ctx, "carol", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	if _, err := people.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("an old version was taken: %v", err)
	}
	tries := 0
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		tries++
		object := stale
		if tries > 1 {
			fresh, err := people.Get(ctx, "carol", metav1.GetOptions{})
			if err != nil {
				return err
			}
			object = fresh
		}
		object.SetLabels(map[string]string{"tries": fmt.Sprint(tries)})
		_, err := people.Update(ctx, object, metav1.UpdateOptions{})
		return err
	})
}

func checkErrors(ctx context.Context, people dynamic.ResourceInterface) error {
	if _, err := people.Create(ctx, user("carol", map[string]any{}), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("made twice: %v", err)
	}
	if _, err := people.Get(ctx, "nobody", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("found nobody: %v", err)
	}
	_, err := people.Create(ctx, user("dave", map[string]any{"maxDevices": int64(5000)}), metav1.CreateOptions{})
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return fmt.Errorf("a mistake was taken: %v", err)
	}
	causes := status.Status().Details.Causes
	if len(causes) != 1 || causes[0].Field != "spec.maxDevices" {
		return fmt.Errorf("causes: %v", causes)
	}
	_, err = people.Create(ctx, user("dave", map[string]any{"colour": "red"}),
		metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if !apierrors.IsBadRequest(err) {
		return fmt.Errorf("an unknown field was taken: %v", err)
	}
	_, err = people.Patch(ctx, "carol", types.StrategicMergePatchType, []byte("{}"), metav1.PatchOptions{})
	if !apierrors.IsUnsupportedMediaType(err) {
		return fmt.Errorf("a strategic patch was taken: %v", err)
	}
	return nil
}

func expect(what, is, should string) error {
	if is != should {
		return fmt.Errorf("%s: %s and not %s", what, is, should)
	}
	return nil
}
