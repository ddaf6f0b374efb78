package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsrds"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"
)

const (
	databaseName = "orders"
	databasePort = 5432
	appUser      = "orders"       // reads and writes rows, and changes no table
	owner        = "orders_owner" // migrates; every table belongs to it
)

// database is the PostgreSQL instance with its three secrets: admin's, which nothing but rotation and bootstrap read, app's, and
// the owner's, for migrations.
type database struct {
	instance          awsrds.DatabaseInstance
	admin, app, owner awssecretsmanager.ISecret
}

func newDatabase(stack awscdk.Stack, s Settings, n network) database {
	group := awsec2.NewSecurityGroup(stack, text("DatabaseGroup"), &awsec2.SecurityGroupProps{
		Vpc: n.vpc, SecurityGroupName: text(s.named("database")), Description: text("The database"), AllowAllOutbound: jsii.Bool(false),
	})
	class, size, _ := strings.Cut(s.Database.Instance, ".")
	instance := awsrds.NewDatabaseInstance(stack, text("Database"), &awsrds.DatabaseInstanceProps{
		InstanceIdentifier: text(s.stackName()), DatabaseName: text(databaseName), Port: number(databasePort),
		// RDS goes on to newer minor versions by itself; CloudFormation sends the number again only where it is changed here.
		Engine:       awsrds.DatabaseInstanceEngine_Postgres(&awsrds.PostgresInstanceEngineProps{Version: awsrds.PostgresEngineVersion_VER_17_9()}),
		InstanceType: awsec2.NewInstanceType(text(class + "." + size)),
		Vpc:          n.vpc, VpcSubnets: n.data, SecurityGroups: &[]awsec2.ISecurityGroup{group}, PubliclyAccessible: jsii.Bool(false),
		Credentials: awsrds.Credentials_FromGeneratedSecret(text("postgres"), &awsrds.CredentialsBaseOptions{
			SecretName: text(s.secret("db-admin")), ExcludeCharacters: text(unsafeInAddresses),
		}),
		StorageEncrypted: jsii.Bool(true), StorageType: awsrds.StorageType_GP3,
		AllocatedStorage: number(s.Database.StorageGiB), MaxAllocatedStorage: number(s.Database.MaxStorageGiB),
		MultiAz: &s.Database.MultiZone, BackupRetention: awscdk.Duration_Days(number(s.Database.BackupDays)), CopyTagsToSnapshot: jsii.Bool(true),
		DeletionProtection: &s.Database.DeletionProtection, RemovalPolicy: awscdk.RemovalPolicy_SNAPSHOT,
		AutoMinorVersionUpgrade: jsii.Bool(true), EnablePerformanceInsights: jsii.Bool(true),
		Parameters: &map[string]*string{"rds.force_ssl": text("1")},
	})
	app := awsrds.NewDatabaseSecret(stack, text("AppSecret"), &awsrds.DatabaseSecretProps{
		SecretName: text(s.secret("db")), Username: text(appUser), Dbname: text(databaseName), MasterSecret: instance.Secret(), ExcludeCharacters: text(unsafeInAddresses),
	})
	ddl := awsrds.NewDatabaseSecret(stack, text("OwnerSecret"), &awsrds.DatabaseSecretProps{
		SecretName: text(s.secret("db-owner")), Username: text(owner), Dbname: text(databaseName), ExcludeCharacters: text(unsafeInAddresses),
	})
	d := database{instance: instance, admin: instance.Secret(), app: app.Attach(instance), owner: ddl.Attach(instance)}
	d.rotate(stack, s, n)
	instance.Connections().AllowFrom(n.appTasks, awsec2.Port_Tcp(number(databasePort)), text("tasks of the service"))
	n.appTasks.AddEgressRule(group, awsec2.Port_Tcp(number(databasePort)), text("the database"), nil)
	d.bootstrap(stack, s)
	return d
}

// unsafeInAddresses keeps passwords free of what would have to be escaped in an address, a shell or SQL.
const unsafeInAddresses = " %+~`#$&*()|[]{}:;<>?!'/@\"\\"

// rotate changes passwords without a gap. The application has two users that take turns: the one that tasks logged in with
// stays good until the next turn, so that a task may live that long. The second is a member of the first, and has its rights by
// that. The owner is one user, so that every table is its own: a migration logs in when its task starts, and what is logged in
// stays so.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets_strategies.html
func (d database) rotate(stack awscdk.Stack, s Settings, n network) {
	every := awscdk.Duration_Days(number(s.Database.RotationDays))
	// Not at once: both users have yet to be made, by the task below.
	d.instance.AddRotationMultiUser(text("App"), &awsrds.RotationMultiUserOptions{
		Secret: d.app, AutomaticallyAfter: every, RotateImmediatelyOnUpdate: jsii.Bool(false), VpcSubnets: n.apps, ExcludeCharacters: text(unsafeInAddresses),
	})
	awssecretsmanager.NewSecretRotation(stack, text("OwnerRotation"), &awssecretsmanager.SecretRotationProps{
		Application: awssecretsmanager.SecretRotationApplication_POSTGRES_ROTATION_SINGLE_USER(), Secret: d.owner, Target: d.instance, Vpc: n.vpc,
		AutomaticallyAfter: every, RotateImmediatelyOnUpdate: jsii.Bool(false), VpcSubnets: n.apps, ExcludeCharacters: text(unsafeInAddresses),
	})
	d.instance.AddRotationSingleUser(&awsrds.RotationSingleUserOptions{
		AutomaticallyAfter: every, RotateImmediatelyOnUpdate: jsii.Bool(false), VpcSubnets: n.apps, ExcludeCharacters: text(unsafeInAddresses),
	})
}

// authorities is the secret with RDS's certificate authorities of the region, in PEM: they are in no operating system's list,
// and change every few years. It is made by hand. A parameter would hold 4 KiB, which is too little.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
func (s Settings) authorities() string { return s.arn("secretsmanager", "secret:"+s.secret("db-ca")) }

// readAuthorities is authorities' in a policy: the six characters at the end of its ARN are unknown here.
func (s Settings) readAuthorities() string { return s.authorities() + "-??????" }

// bootstrap is a task that is run once, by hand, when the database is new: CloudFormation makes a database's administrator and
// no other user. Run again it does nothing.
func (d database) bootstrap(stack awscdk.Stack, s Settings) {
	admin, app, ddl := d.admin.SecretArn(), d.app.SecretArn(), d.owner.SecretArn()
	newRole(stack, "BootstrapRole", s.named("bootstrap"), "Starts the task that makes the database's two users", s.tasksMayAssume(), []statement{
		s.writeLogs(s.logGroup("bootstrap")),
		{sid: "ReadSecrets", actions: []string{"secretsmanager:GetSecretValue"}, resources: []string{*admin, *app, *ddl, s.readAuthorities()}},
	})
	newLogGroup(stack, s, "BootstrapLogs", "bootstrap")
	secret := func(name string, of *string, key string) *awsecs.CfnTaskDefinition_SecretProperty {
		return &awsecs.CfnTaskDefinition_SecretProperty{Name: &name, ValueFrom: text(*of + ":" + key + "::")}
	}
	task := awsecs.NewCfnTaskDefinition(stack, text("Bootstrap"), &awsecs.CfnTaskDefinitionProps{
		Family: text(s.named("bootstrap")), RequiresCompatibilities: texts("FARGATE"), NetworkMode: text("awsvpc"), Cpu: text("256"), Memory: text("512"),
		ExecutionRoleArn: text(s.role("bootstrap")),
		ContainerDefinitions: []any{&awsecs.CfnTaskDefinition_ContainerDefinitionProperty{
			Name: text("psql"), Image: &s.Database.BootstrapImage, Essential: true,
			Command: texts("sh", "-c", `PGSSLROOTCERT=$(mktemp) && export PGSSLROOTCERT && printf '%s\n' "$DB_CA" >"$PGSSLROOTCERT" &&
psql -v ON_ERROR_STOP=1 -v name="$APP_USER" -v password="$APP_PASSWORD" -v owner="$OWNER_USER" -v owner_password="$OWNER_PASSWORD" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'name', :'password') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'owner', :'owner_password') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I, %I', current_database(), :'name', :'owner') \gexec
SELECT format('GRANT USAGE ON SCHEMA public TO %I, %I', :'name', :'owner') \gexec
SELECT format('GRANT CREATE ON SCHEMA public TO %I', :'owner') \gexec
SQL`),
			Environment: []any{
				variable("PGHOST", *d.instance.DbInstanceEndpointAddress()), variable("PGDATABASE", databaseName), variable("PGSSLMODE", "verify-full"),
			},
			Secrets: []any{secret("PGUSER", admin, "username"), secret("PGPASSWORD", admin, "password"), secret("APP_USER", app, "username"), secret("APP_PASSWORD", app, "password"),
				secret("OWNER_USER", ddl, "username"), secret("OWNER_PASSWORD", ddl, "password"), secretText("DB_CA", s.authorities())},
			LogConfiguration: s.logsTo("bootstrap", "bootstrap"),
		}},
	})
	after(stack, task, "BootstrapRole")
}

// secretText is a secret that is a text as a whole.
func secretText(name, arn string) *awsecs.CfnTaskDefinition_SecretProperty {
	return &awsecs.CfnTaskDefinition_SecretProperty{Name: &name, ValueFrom: &arn}
}

func variable(name, value string) *awsecs.CfnTaskDefinition_KeyValuePairProperty {
	return &awsecs.CfnTaskDefinition_KeyValuePairProperty{Name: &name, Value: &value}
}

// newLogGroup makes the group of one part's logs. It outlives the stack: logs are wanted most when something was deleted.
func newLogGroup(stack awscdk.Stack, s Settings, id, of string) awslogs.LogGroup {
	return awslogs.NewLogGroup(stack, &id, &awslogs.LogGroupProps{
		LogGroupName: text(s.logGroup(of)), Retention: retention(s.LogDays), RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
	})
}

// logsTo is where a container's output goes.
func (s Settings) logsTo(of, prefix string) *awsecs.CfnTaskDefinition_LogConfigurationProperty {
	return &awsecs.CfnTaskDefinition_LogConfigurationProperty{LogDriver: text("awslogs"), Options: map[string]*string{
		"awslogs-group": text(s.logGroup(of)), "awslogs-region": &s.Region, "awslogs-stream-prefix": &prefix,
	}}
}
