package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/ledger"
)

// KeepMark does what ledger.File's does, under the fencing number as every write.
func (f *Fenced) KeepMark(ctx context.Context, key string, data []byte) error {
	if err := f.keepMark(ctx, key, data); err != nil {
		return fmt.Errorf("keep the mark %s in %s: %w", key, f, err)
	}
	return nil
}

func (f *Fenced) keepMark(ctx context.Context, key string, data []byte) error {
	err := ctx.Err()
	if err == nil {
		err = ledger.CheckMark(key, data)
	}
	if err == nil {
		err = f.take(ctx)
	}
	if err != nil {
		return err
	}
	defer f.giveUp()
	w := writes{Fenced: f}
	w.check()
	put := &types.Put{TableName: aws.String(f.opts.Table), Item: f.markKey(key)}
	put.Item[attrData] = text(string(data))
	w.add(types.TransactWriteItem{Put: put}, nil)
	return w.commit(ctx, 0)
}

func (t *Table) markKey(key string) item { return t.key("marks", key) }

// Marks shows visit every mark that was kept, in order of key.
func (t *Table) Marks(ctx context.Context, visit func(key string, data []byte)) error {
	err := t.query(ctx, query{kind: "marks", consistent: true}, func(i item) error {
		visit(textOf(i, attrSort), []byte(textOf(i, attrData)))
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the marks in %s: %w", t, err)
	}
	return nil
}
