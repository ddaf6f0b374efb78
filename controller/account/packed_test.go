package account

import (
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Templates that are alike are kept as what differs, whoever packs them at the same time.
func TestTemplatesThatAreAlikeTakeLittle(t *testing.T) {
	var p packer
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			td := sampleTemplate()
			td.Family = aws.String(fmt.Sprintf("orders-%d", i))
			td.ContainerDefinitions[0].Image = aws.String(fmt.Sprintf("123456789012.dkr.ecr.eu-central-1.amazonaws.com/orders-%d:1aaaaaa", i))
			kept, err := p.pack(td)
			if err != nil {
				t.Error(err)
				return
			}
			text, err := withoutNulls(td)
			if again, wrong := kept.definition(); err != nil || wrong != nil || *again.Family != *td.Family || *again.ContainerDefinitions[0].Image != *td.ContainerDefinitions[0].Image {
				t.Errorf("%v, %v: it comes back as another one", err, wrong)
			}
			if len(kept.data) > len(text)/4 {
				t.Errorf("%d bytes of %d are kept", len(kept.data), len(text))
			}
		})
	}
	all.Wait()
	if _, err := (packed{[]byte("damaged"), nil}).definition(); err == nil {
		t.Error("what was not packed is unpacked")
	}
	if kept, err := p.pack(&types.TaskDefinition{}); err != nil || len(kept.data) == 0 {
		t.Errorf("an empty one: %v", err)
	}
}
